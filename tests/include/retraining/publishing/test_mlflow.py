"""MLflow gets each version once, and its alias follows the promotion log.

Every test runs against the stand-in, and with `make test-slow` against a real server.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from include.retraining.exceptions import NotPublished
from include.retraining.publishing import mlflow as adapter
from include.retraining.publishing.http_target import HttpTarget
from include.retraining.publishing.mlflow import MlflowRegistry
from include.retraining.publishing.mlflow_api import MlflowApi
from include.retraining.publishing.publication import Champion
from include.retraining.publishing.state import TargetState
from include.retraining.registry.promotion import Registry
from include.retraining.store.marker import initialise
from include.retraining.store.object_store import Store
from tests.support.loopback_server import LoopbackServer, Reply
from tests.support.mlflow_api import (
    MlflowReader,
    MlflowStandIn,
    mlflow_stand_in,
    real_mlflow,
    tags_of,
)
from tests.support.promotions import promote_days
from tests.support.published import champion_of
from tests.support.run_factory import MODEL, run_ref, version_name


@pytest.fixture(scope="module")
def real_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A real tracking server for all tests here; each has a registered model of its own."""
    with real_mlflow(tmp_path_factory.mktemp("mlflow")) as address:
        yield address


@pytest.fixture(params=["stand_in", pytest.param("real", marks=pytest.mark.slow)])
def address(request: pytest.FixtureRequest) -> Iterator[str]:
    """A tracking server."""
    if request.param == "real":
        yield request.getfixturevalue("real_server")
        return
    with mlflow_stand_in() as server:
        yield server.address


@pytest.fixture
def reader(address: str) -> MlflowReader:
    """What the server has."""
    return MlflowReader(address)


@pytest.fixture
def name(request: pytest.FixtureRequest) -> str:
    """The name of this test's registered model."""
    return f"toy {request.node.name[:60]}".replace("[", " ").replace("]", "")


@pytest.fixture
def registry(address: str, name: str) -> Iterator[MlflowRegistry]:
    """The registered model."""
    server = HttpTarget("mlflow", address)
    yield MlflowRegistry(MlflowApi(server), name, "champion", sets_back=False)
    server.close()


@pytest.fixture
def promoted(folder_store: Store) -> Store:
    """A store on a folder with a model of two promotions."""
    store = initialise(folder_store.uri)
    promote_days(store, 1, 2)
    return store


def write_card(store: Store, day: int) -> None:
    """Write a run's model card, its picture first."""
    folder = run_ref(day).paths.card
    store.write(f"{folder}/roc.png", b"picture")
    store.write(f"{folder}/card.md", f"# Card of day {day}".encode())


def test_a_version_has_files_metrics_tags_card_and_the_alias(
    promoted: Store, registry: MlflowRegistry, reader: MlflowReader, name: str
) -> None:
    """All that a user of MLflow asks for is there, and says where it comes from."""
    write_card(promoted, 2)
    champion = champion_of(promoted, 2)
    receipt = registry.publish(champion, is_ours=False)
    version = reader.champion(name)
    assert (version["version"], receipt) == (receipt.text, ("1", True))
    assert version["status"] == "READY"
    assert version["description"] == "# Card of day 2"
    tags = tags_of(version)
    assert tags["retraining.version"] == version_name(2)
    assert tags["retraining.version_digest"] == champion.entry.version_digest
    assert reader.tags(name)["retraining.generation"] == "2"
    run = reader.run(version["run_id"])
    assert run["info"]["status"] == "FINISHED"
    metrics = {one["key"]: one["value"] for one in run["data"]["metrics"]}
    assert metrics == champion.metrics()
    assert len(metrics) >= 1
    assert version["source"].endswith("/model")
    assert reader.artifact(version["run_id"], "model/model.skops") == b"model 2"
    assert reader.artifact(version["run_id"], "card/roc.png") == b"picture"


def test_the_same_generation_twice_changes_nothing(
    promoted: Store, registry: MlflowRegistry, reader: MlflowReader, name: str
) -> None:
    """The version is found again by its digest."""
    receipts = {registry.publish(champion_of(promoted, 2), is_ours=False) for _ in range(3)}
    assert len(receipts) == 1
    assert reader.champion(name)["version"] == "1"
    query = {"filter": f"name='{name}'"}
    assert len(reader.ask("GET", "/model-versions/search", params=query)["model_versions"]) == 1


def test_a_rollback_moves_the_alias_back_to_the_version_that_is_there(
    promoted: Store, registry: MlflowRegistry, reader: MlflowReader, name: str
) -> None:
    """Nothing is uploaded twice: there are two versions after three generations."""
    for generation in (1, 2):
        registry.publish(champion_of(promoted, generation), is_ours=True)
    assert reader.champion(name)["version"] == "2"
    Registry(promoted, MODEL).rollback(version_name(1), actor="ann", reason="complaints")
    assert registry.publish(champion_of(promoted, 3), is_ours=True).text == "1"
    assert reader.champion(name)["version"] == "1"
    assert reader.tags(name)["retraining.generation"] == "3"


@pytest.mark.fault("Q03")
def test_an_older_generation_never_moves_the_alias(
    promoted: Store, registry: MlflowRegistry, reader: MlflowReader, name: str
) -> None:
    """A sender that comes late is refused, and nothing is uploaded for it (Q03)."""
    registry.publish(champion_of(promoted, 2), is_ours=False)
    with pytest.raises(NotPublished, match="has generation 2 of toy_model already"):
        registry.publish(champion_of(promoted, 1), is_ours=True)
    assert tags_of(reader.champion(name))["retraining.version"] == version_name(2)


def test_a_card_that_is_made_later_follows(
    promoted: Store,
    registry: MlflowRegistry,
    reader: MlflowReader,
    name: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The alias does not wait for it, and it is waited for a day."""
    monkeypatch.setattr(adapter, "CARD_PATIENCE", adapter.CARD_PATIENCE * 365_000)
    assert registry.publish(champion_of(promoted, 2), is_ours=False) == ("1", False)
    write_card(promoted, 2)
    assert registry.publish(champion_of(promoted, 2), is_ours=True) == ("1", True)
    assert reader.champion(name)["description"] == "# Card of day 2"


def test_no_card_is_waited_for_a_day_after_the_promotion(
    promoted: Store, registry: MlflowRegistry, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A card that could not be made was notified by its run."""
    monkeypatch.setattr(adapter, "CARD_PATIENCE", -adapter.CARD_PATIENCE)
    assert registry.publish(champion_of(promoted, 2), is_ours=False).is_complete


def test_an_alias_that_someone_moved_or_removed_is_named(
    promoted: Store, registry: MlflowRegistry, reader: MlflowReader, name: str
) -> None:
    """The server is asked which version it names."""
    for generation in (1, 2):
        receipt = registry.publish(champion_of(promoted, generation), is_ours=True)
    state = TargetState(place="x", generation=2, receipt=receipt.text)
    assert registry.difference(state) is None
    reader.move_alias(name, "1")
    assert "names version 1 in MLflow instead of 2" in str(registry.difference(state))
    other = MlflowRegistry(registry._api, name, "production", sets_back=False)
    assert "the alias production" in str(other.difference(state))
    gone = MlflowRegistry(registry._api, "no such model", "champion", sets_back=False)
    assert str(gone.difference(state)).endswith("is gone")


def test_a_registered_model_of_someone_else_is_adopted_and_that_of_another_model_is_not(
    promoted: Store, registry: MlflowRegistry, reader: MlflowReader, name: str
) -> None:
    """A team's own registered model keeps what it has."""
    tags = [{"key": "team", "value": "credit"}]
    reader.ask("POST", "/registered-models/create", json={"name": name, "tags": tags})
    registry.publish(champion_of(promoted, 2), is_ours=False)
    assert reader.tags(name)["team"] == "credit"
    body: dict[str, Any] = {"name": name, "key": "retraining.model", "value": "another"}
    reader.ask("POST", "/registered-models/set-tag", json=body)
    with pytest.raises(NotPublished, match="is of another in"):
        registry.publish(champion_of(promoted, 2), is_ours=True)


@pytest.mark.fault("Q02")
def test_killed_at_any_request_it_ends_with_one_version(promoted: Store) -> None:
    """Whatever was done before is found again by its tags (Q02)."""
    write_card(promoted, 2)
    champion = champion_of(promoted, 2)
    with LoopbackServer() as server:
        target = HttpTarget("mlflow", server.address)
        registry = MlflowRegistry(MlflowApi(target), MODEL, "champion", sets_back=False)
        for number in range(100):
            mlflow = MlflowStandIn()
            if not is_cut_off(server, mlflow, registry, champion, after=number):
                break
            server.answer = mlflow.answer
            assert registry.publish(champion, is_ours=False) == ("1", True)
            (version,) = mlflow.versions[MODEL]
            assert version["description"] == "# Card of day 2"
            assert mlflow.aliases == {(MODEL, "champion"): "1"}
            assert len(mlflow.runs) == 1
        target.close()
    assert number > 10


def is_cut_off(
    server: LoopbackServer,
    mlflow: MlflowStandIn,
    registry: MlflowRegistry,
    champion: Champion,
    *,
    after: int,
) -> bool:
    """Publish, and be cut off at a request; return whether there was one."""
    del server.requests[:]
    server.answer = lambda request: (
        Reply(503) if len(server.requests) > after else mlflow.answer(request)
    )
    try:
        registry.publish(champion, is_ours=False)
    except NotPublished:
        return True
    return False


def test_a_server_that_does_not_serve_its_artifacts_is_refused(promoted: Store) -> None:
    """The error says how it must be started."""
    with mlflow_stand_in() as server:
        target = HttpTarget("mlflow", server.address)
        with pytest.raises(NotPublished, match="--serve-artifacts"):
            MlflowApi(target).upload("s3://bucket/1/run/artifacts", "model/x", b"")
        target.close()


@pytest.mark.parametrize("page", [b"<html>please log in</html>", b'"ok"', b'{"tags": 1}'])
def test_what_is_no_answer_of_mlflow_is_no_success(promoted: Store, page: bytes) -> None:
    """A login page answers 200 to reading and writing alike."""
    with LoopbackServer(lambda _: Reply(200, page)) as server:
        target = HttpTarget("mlflow", server.address)
        api = MlflowApi(target)
        registry = MlflowRegistry(api, MODEL, "champion", sets_back=False)
        asked = [
            lambda: registry.publish(champion_of(promoted, 2), is_ours=True),
            lambda: registry.difference(TargetState(place="x", generation=2, receipt="1")),
            lambda: api.create_run("1", "run", 0, {}),
        ]
        if page != b'{"tags": 1}':
            asked += [
                lambda: api.set_alias(MODEL, "champion", "1"),
                lambda: api.tag_registered(MODEL, "key", "value"),
                lambda: api.upload("mlflow-artifacts:/1/run/artifacts", "model/x", b""),
            ]
        for ask in asked:
            with pytest.raises(NotPublished, match="perhaps a login page: connection 'mlflow'"):
                ask()
        target.close()


@pytest.mark.parametrize(
    ("login", "password", "header"),
    [("ann", "pw", "Basic YW5uOnB3"), (None, "token", "Bearer token"), (None, None, None)],
)
def test_a_login_and_a_token_are_sent_as_what_they_are(
    login: str | None, password: str | None, header: str | None
) -> None:
    """And an error never shows them."""
    with LoopbackServer(lambda _: Reply(403, b'{"message": "no"}')) as server:
        target = HttpTarget("mlflow", server.address, login=login, password=password)
        with pytest.raises(NotPublished, match="answered 403") as raised:
            MlflowApi(target).aliased("x", "champion")
        target.close()
        assert server.requests[0].headers.get("authorization") == header
    assert not password or password not in str(raised.value)
