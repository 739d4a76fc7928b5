"""Where a model may be published, and what a mistake in its YAML is answered with."""

from __future__ import annotations

from typing import Any

import pytest

from include.retraining.config.model import MODELS_FOLDER, load_model, parse_model
from include.retraining.config.publish import Publish
from include.retraining.exceptions import ConfigError

YAML = (MODELS_FOLDER / "loan_approval.yaml").read_text()


def mistakes(publish: str) -> str:
    """Return what is said of a model with such a section."""
    with pytest.raises(ConfigError) as raised:
        parse_model(f"{YAML}\npublish: {publish}\n", where="loan_approval.yaml")
    return str(raised.value)


@pytest.mark.parametrize(
    ("publish", "problem"),
    [
        ("{}", "publish: names no target; allowed: mlflow, pointer and webhook"),
        ("{mlflow: null}", "names no target"),
        ("{kafka: {}}", "publish.kafka: "),
        ("{mlflow: {alias: latest}}", "publish.mlflow.alias: MLflow reserves 'latest'"),
        ("{mlflow: {alias: v2}}", "publish.mlflow.alias: MLflow reserves 'v2'"),
        ("{mlflow: {registered_model: a/b}}", "publish.mlflow.registered_model: "),
        ("{mlflow: {connection: 'https://user:pw@host'}}", "publish.mlflow.connection: "),
        ("{webhook: {url: 'https://host'}}", "publish.webhook.url: "),
        ("{pointer: {}}", "publish.pointer.address: "),
        ("{pointer: {address: 'https://host/x.json'}}", "https:// is no place for a pointer"),
        ("{pointer: {address: models/x.json}}", "pointers lie below published/"),
        ("{pointer: {address: published/../x.json}}", "no part of an address is empty"),
        ("{pointer: {address: published/x}}", "must name a file that ends in .json"),
        ("{pointer: {address: 's3://bucket/x.json?a=b.json'}}", "no login, '?' or '#'"),
        ("{pointer: {address: 's3://key@bucket/x.json'}}", "no login, '?' or '#'"),
        ("{pointer: {address: 'file://host/x.json'}}", "must be file:///folder/NAME.json"),
        ("{pointer: {address: 's3:///x.json'}}", "must be file:///folder/NAME.json"),
        ("{pointer: {address: 's3://b/{date}.json'}}", "no part of an address is empty"),
        ("{pointer: {address: published/x.json, connection: other}}", "by the connection `store`"),
    ],
)
def test_a_mistake_is_named_by_its_field(publish: str, problem: str) -> None:
    """And what is allowed instead."""
    assert problem in mistakes(publish)


@pytest.mark.parametrize(
    "address", ["published/a/b.json", "s3://bucket/x.json", "gs://b/a/x.json", "file:///srv/x.json"]
)
def test_a_pointer_may_lie_in_the_store_or_at_an_address(address: str) -> None:
    """A folder, or a bucket of any cloud that the store may be in."""
    Publish.model_validate({"pointer": {"address": address}})


def test_a_place_is_another_one_when_its_address_name_or_connection_is() -> None:
    """What lies at the old one says nothing about the new one."""
    sections: list[dict[str, Any]] = [
        {"mlflow": {}},
        {"mlflow": {"alias": "production"}},
        {"mlflow": {"registered_model": "other"}},
        {"mlflow": {"connection": "other"}},
        {"pointer": {"address": "s3://b/x.json"}},
        {"pointer": {"address": "s3://b/x.json", "connection": "other"}},
        {"webhook": {}},
        {"webhook": {"connection": "other"}},
    ]
    places = [str(Publish.model_validate(one).places("toy")) for one in sections]
    assert len(set(places)) == len(places)
    same = [{"mlflow": {"set_back": True}}, {"mlflow": {"registered_model": "toy"}}]
    assert {str(Publish.model_validate(one).places("toy")) for one in same} == {places[0]}


def test_what_is_published_where_retrains_no_model() -> None:
    """The training's view of the YAML is the same."""
    config = load_model("loan_approval")
    other = config.model_copy(update={"publish": Publish.model_validate({"webhook": {}})})
    assert other.training_view == config.training_view
