"""An AWS connection opens the store with the rights that Airflow's own hooks have by it."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3
import pytest

from include.orchestration.runtime.aws_store import _session
from include.orchestration.runtime.store import open_store, store_address
from include.retraining.exceptions import ConfigError, RetrainingError, StorageError
from include.retraining.store import marker as store_marker
from tests.support.s3_roles import Roles, policy, s3_roles

StoreIs = Callable[..., None]
ANYBODY = json.dumps({
    "Version": "2012-10-17",
    "Statement": [{"Effect": "Allow", "Principal": {"AWS": "*"}, "Action": "sts:AssumeRole"}],
})
ASSUME = json.dumps({
    "Version": "2012-10-17",
    "Statement": [{"Effect": "Allow", "Action": "sts:AssumeRole", "Resource": "*"}],
})


@dataclass
class Account:
    """A bucket, a role that may only read it, and a user that may only assume that role."""

    uri: str
    endpoint: str
    role: str
    keys: dict[str, str]
    extra: dict[str, Any]


@pytest.fixture(scope="module")
def account(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Account]:
    """On a server that enforces IAM."""
    with s3_roles(tmp_path_factory.mktemp("moto")) as roles:
        yield _account(roles)


def _account(roles: Roles) -> Account:
    owner, endpoint = roles.keys["owner"], roles.proxy.endpoint
    store_marker.initialise(roles.uri, owner)
    iam = boto3.client(
        "iam",
        endpoint_url=endpoint,
        region_name="us-east-1",
        aws_access_key_id=owner["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=owner["AWS_SECRET_ACCESS_KEY"],
    )
    bucket = roles.uri.removeprefix("s3://").partition("/")[0]
    role = iam.create_role(RoleName="store", AssumeRolePolicyDocument=ANYBODY)["Role"]["Arn"]
    reading = json.dumps(policy("reader", bucket))
    iam.put_role_policy(RoleName="store", PolicyName="read", PolicyDocument=reading)
    iam.create_user(UserName="airflow")
    iam.put_user_policy(UserName="airflow", PolicyName="assume", PolicyDocument=ASSUME)
    made = iam.create_access_key(UserName="airflow")["AccessKey"]
    return Account(
        uri=roles.uri,
        endpoint=endpoint,
        role=role,
        keys={"login": made["AccessKeyId"], "password": made["SecretAccessKey"]},
        extra={
            "region_name": "us-east-1",
            "service_config": {"s3": {"endpoint_url": endpoint}, "sts": {"endpoint_url": endpoint}},
        },
    )


@pytest.fixture(autouse=True)
def nothing_is_kept() -> Iterator[None]:
    """Each test asks for its own credentials."""
    _session.cache_clear()
    yield
    _session.cache_clear()


def test_the_store_is_opened_with_the_rights_of_the_role(
    account: Account, store_is: StoreIs
) -> None:
    """What the user may not, the role may; what the role may not is refused to everybody."""
    store_is(account.uri, conn_type="aws", **account.keys, extra=account.extra)
    with pytest.raises(StorageError, match="denied access"):
        open_store()
    role = {**account.extra, "role_arn": account.role}
    store_is(account.uri, conn_type="aws", **account.keys, extra=role)
    store = open_store()
    assert store.exists("store.json")
    assert store.options["AWS_ENDPOINT_URL"] == account.endpoint
    assert store.options["AWS_ACCESS_KEY_ID"] != account.keys["login"]
    with pytest.raises(StorageError, match="denied access"):
        store.write("landing/x", b"")
    # The trigger's way, with the same connection.
    from airflow.providers.amazon.aws.hooks.s3 import S3Hook

    bucket, _, prefix = account.uri.removeprefix("s3://").partition("/")
    assert S3Hook(aws_conn_id="store").check_for_key(f"{prefix}/store.json", bucket)


def test_a_role_is_assumed_once_for_many_looks(account: Account, store_is: StoreIs) -> None:
    """The settings stay the same, so that what is opened by them may be kept."""
    role = {**account.extra, "role_arn": account.role}
    store_is(account.uri, conn_type="aws", **account.keys, extra=role)
    assert store_address() == store_address()


def test_a_profile_is_followed(
    account: Account, store_is: StoreIs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The keys of a profile of the machine's are its own."""
    file = tmp_path / "credentials"
    file.write_text("[mine]\naws_access_key_id = one\naws_secret_access_key = two\n")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(file))
    store_is(account.uri, conn_type="aws", extra={"profile_name": "mine"})
    options = store_address().options
    assert (options["AWS_ACCESS_KEY_ID"], options["AWS_SECRET_ACCESS_KEY"]) == ("one", "two")
    store_is(account.uri, conn_type="aws", extra={"profile_name": "other"})
    with pytest.raises(ConfigError, match="are not to be had: ProfileNotFound"):
        store_address()


def test_credentials_that_end_before_a_job_may_are_refused_before_it_starts(
    account: Account, store_is: StoreIs
) -> None:
    """A role gives an hour if nobody asks for more, and a job cannot ask anew."""
    role = {**account.extra, "role_arn": account.role}
    store_is(account.uri, conn_type="aws", **account.keys, extra=role)
    store_address(seconds=3600)
    with pytest.raises(ConfigError, match=r"end before the 7200 s .*DurationSeconds\": 7200"):
        store_address(seconds=7200)
    longer = {**role, "assume_role_kwargs": {"DurationSeconds": 7200}}
    store_is(account.uri, conn_type="aws", **account.keys, extra=longer)
    store_address(seconds=7200)


def test_a_role_that_is_refused_is_said(account: Account, store_is: StoreIs) -> None:
    """For good where AWS says no, for now where it does not answer."""
    foreign = {"login": "nobody", "password": "x" * 20}
    role = {**account.extra, "role_arn": account.role}
    store_is(account.uri, conn_type="aws", **foreign, extra=role)
    with pytest.raises(ConfigError, match="AWS refuses the credentials of the role arn:aws"):
        store_address()
    nowhere = {"sts": {"endpoint_url": "http://127.0.0.1:9"}}
    silent = {**role, "service_config": nowhere, "config_kwargs": {"retries": {"max_attempts": 1}}}
    store_is(account.uri, conn_type="aws", **account.keys, extra=silent)
    with pytest.raises(RetrainingError, match="cannot be had now") as error:
        store_address()
    assert not error.value.is_permanent


@pytest.mark.parametrize(
    ("extra", "named"),
    [
        ({"verify": False}, "extra.verify"),
        ({"regoin_name": "eu-west-1"}, "extra.regoin_name"),
        ({"config_kwargs": {"proxies": {"https": "x"}}}, "extra.config_kwargs.proxies"),
        (
            {"config_kwargs": {"s3": {"payload_signing_enabled": True}}},
            "s3.payload_signing_enabled",
        ),
        ({"service_config": {"s3": {"bucket_name": "b"}}}, "extra.service_config.s3.bucket_name"),
    ],
)
def test_a_field_that_is_not_followed_is_refused_by_name(
    store_is: StoreIs, extra: dict[str, Any], named: str
) -> None:
    """The store would be opened otherwise than the connection says."""
    store_is("s3://bucket", conn_type="aws", extra=extra)
    with pytest.raises(ConfigError, match=named):
        store_address()


def test_what_the_storage_library_has_another_word_for_is_translated(store_is: StoreIs) -> None:
    """Keys in the extra, the style of addresses, and its own options beside them."""
    store_is(
        "s3://bucket",
        conn_type="aws",
        extra={
            "aws_access_key_id": "me",
            "aws_secret_access_key": "secret",
            "config_kwargs": {"s3": {"addressing_style": "virtual"}, "read_timeout": 5},
            "options": {"AWS_SERVER_SIDE_ENCRYPTION": "aws:kms"},
        },
    )
    assert store_address().options == {
        "AWS_ACCESS_KEY_ID": "me",
        "AWS_SECRET_ACCESS_KEY": "secret",
        "AWS_VIRTUAL_HOSTED_STYLE_REQUEST": "true",
        "AWS_SERVER_SIDE_ENCRYPTION": "aws:kms",
    }
