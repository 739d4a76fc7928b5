"""A pass over all published models, by the names of Airflow's connections."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from airflow.sdk import Asset

from include.local_airflow.slack_receiver import SlackReceiver
from include.orchestration.publishing import tasks
from include.orchestration.publishing.alert import notify_failed_publishing
from include.orchestration.publishing.tasks import publish_champions, publish_models
from include.retraining.config.model import ModelConfig
from include.retraining.exceptions import RegistryError, RetrainingError
from include.retraining.notifications.outbox import deliver_waiting
from include.retraining.publishing.state import find_state, read_all
from include.retraining.registry.promotion import Registry
from include.retraining.store.layout import promotion_key
from include.retraining.store.object_store import Store
from tests.support.contexts import MakeContext
from tests.support.counting_store import CountingStore
from tests.support.loopback_server import LoopbackServer, Reply
from tests.support.mlflow_api import MlflowReader, mlflow_stand_in
from tests.support.promotions import promote_days
from tests.support.published import POINTER, published
from tests.support.run_factory import CONFIG, MODEL, run_ref, version_name

EVERYWHERE = {"mlflow": {}, "pointer": {"address": POINTER}, "webhook": {}}
SECRET = "whsec_" + base64.b64encode(b"0123456789abcdef0123456789abcdef").decode()


class Clock:
    """The time of a pass."""

    def __init__(self) -> None:
        self.time = datetime(2026, 11, 27, 6, tzinfo=UTC)

    def now(self, zone: Any) -> datetime:
        """Return it."""
        return self.time.astimezone(zone)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """The time of the passes."""
    made = Clock()
    monkeypatch.setattr(tasks, "datetime", made)
    return made


@pytest.fixture
def models(monkeypatch: pytest.MonkeyPatch) -> dict[str, ModelConfig]:
    """The configured models by name; the toy model is published everywhere."""
    configs = {MODEL: published(**EVERYWHERE)}
    monkeypatch.setattr(tasks, "load_model", lambda name: configs[name])
    monkeypatch.setattr(tasks, "published_models", lambda: sorted(configs))
    return configs


@pytest.fixture
def receiver(monkeypatch: pytest.MonkeyPatch) -> Iterator[LoopbackServer]:
    """The receiver of the connection `webhook`."""
    with LoopbackServer() as server:
        connection = {"conn_type": "http", "host": f"{server.address}/in", "password": SECRET}
        monkeypatch.setenv("AIRFLOW_CONN_WEBHOOK", json.dumps(connection))
        yield server


@pytest.fixture
def mlflow(monkeypatch: pytest.MonkeyPatch) -> Iterator[LoopbackServer]:
    """The tracking server of the connection `mlflow`."""
    with mlflow_stand_in() as server:
        connection = {"conn_type": "http", "host": "127.0.0.1", "port": server.port}
        monkeypatch.setenv("AIRFLOW_CONN_MLFLOW", json.dumps(connection))
        yield server


def promote(store: Store, *days: int) -> None:
    """Promote the runs of some days, with their cards; what they notify of is not asked here."""
    promote_days(store, *days)
    for day in days:
        store.write(f"{run_ref(day).paths.card}/card.md", b"# Card")
    deliver_waiting(store, lambda notice: None)


Pass = Any


@pytest.fixture
def run_pass(
    store: Store,
    models: dict[str, ModelConfig],
    context: MakeContext,
    slack: SlackReceiver,
    receiver: LoopbackServer,
    mlflow: LoopbackServer,
    clock: Clock,
) -> Pass:
    """Runs a pass some minutes after the last, and returns what it says."""

    def run(minutes: float = 5) -> list[str]:
        clock.time += timedelta(minutes=minutes)
        return publish_models(store, context(dag_id="publish_champions"), sorted(models))

    return run


def test_a_champion_reaches_every_target_by_its_connection(
    store: Store, run_pass: Pass, receiver: LoopbackServer, mlflow: LoopbackServer
) -> None:
    """And what is known of each is there for the pages."""
    assert run_pass() == []
    promote(store, 1)
    assert run_pass() == []
    assert [request.path for request in receiver.requests] == ["/in"]
    assert MlflowReader(mlflow.address).champion(MODEL)["version"] == "1"
    assert store.exists(POINTER)
    state = read_all(store)[MODEL]
    assert {name: one.generation for name, one in state.targets.items()} == {
        "pointer": 1,
        "mlflow": 1,
        "webhook": 1,
    }


@pytest.mark.fault("Q01")
def test_a_target_that_is_down_is_notified_once_and_when_it_is_back(
    store: Store, run_pass: Pass, slack: SlackReceiver, receiver: LoopbackServer
) -> None:
    """After a quarter of an hour: a restart is over by then (Q01)."""
    receiver.stop()
    promote(store, 1)
    for _ in range(3):
        assert any("webhook" in line and "does not answer" in line for line in run_pass())
    assert slack.texts == []
    for _ in range(3):
        run_pass()
    (text,) = slack.texts
    assert "the champion is not published to webhook" in text
    assert "has nothing yet; failing since 2026-11-27 06:05 UTC" in text
    assert f"Serving now: version {version_name(1)} (generation 1)" in text
    assert "docs/runbooks/publishing.md" in text
    receiver.start()
    run_pass()
    assert "no target is without the champion any more" in slack.texts[-1]
    assert len(receiver.requests) == 1
    run_pass()
    assert len(slack.texts) == 2


def test_an_mlflow_behind_a_login_page_keeps_the_champion_from_no_other_target(
    run_pass: Pass, store: Store, receiver: LoopbackServer, mlflow: LoopbackServer
) -> None:
    """The webhook comes after it, and what is wrong is said."""
    mlflow.answer = lambda _: Reply(200, b"<html>please log in</html>")
    promote(store, 1)
    (line,) = run_pass()
    assert f"{MODEL}: mlflow: what answers is not MLflow" in line
    assert len(receiver.requests) == 1


@pytest.mark.fault("Q04")
@pytest.mark.parametrize("sets_back", [False, True])
def test_an_alias_that_someone_moved_is_notified_at_once_and_set_back_where_asked(
    store: Store,
    run_pass: Pass,
    slack: SlackReceiver,
    mlflow: LoopbackServer,
    models: dict[str, ModelConfig],
    sets_back: bool,
) -> None:
    """Once for as long as it lasts (Q04)."""
    models[MODEL] = published(**EVERYWHERE | {"mlflow": {"set_back": sets_back}})
    reader = MlflowReader(mlflow.address)
    for day in (1, 2):
        promote(store, day)
        run_pass()
    reader.move_alias(MODEL, "1")
    (line,) = run_pass()
    assert "names version 1 in MLflow instead of 2" in line
    run_pass()
    assert reader.champion(MODEL)["version"] == ("2" if sets_back else "1")
    assert "someone else changed mlflow" in slack.texts[0]
    assert ("set back" in slack.texts[0].partition("\n")[0]) == sets_back
    assert len(slack.texts) == (2 if sets_back else 1)
    Registry(store, MODEL).rollback(version_name(1), actor="ann", reason="they were right")
    run_pass()
    assert reader.champion(MODEL)["version"] == "1"
    assert len(slack.texts) == 2
    assert "no target is without the champion any more" in slack.texts[-1]


@pytest.mark.parametrize("is_removed", [False, True])
def test_the_alarms_of_a_model_that_is_published_no_more_end(
    store: Store,
    run_pass: Pass,
    slack: SlackReceiver,
    mlflow: LoopbackServer,
    models: dict[str, ModelConfig],
    is_removed: bool,
) -> None:
    """Once, when its section or the whole model is taken out while an alarm is raised."""
    models["another"] = CONFIG.model_copy(update={"name": "another"})
    for day in (1, 2):
        promote(store, day)
        run_pass()
    MlflowReader(mlflow.address).move_alias(MODEL, "1")
    run_pass()
    assert len(slack.texts) == 1
    if is_removed:
        del models[MODEL]
    else:
        models[MODEL] = CONFIG
    for _ in range(2):
        run_pass()
    assert len(slack.texts) == 2
    assert "no target is without the champion any more" in slack.texts[-1]
    state = find_state(store, MODEL)
    assert state is not None
    assert not state.has_alarms


def test_a_pass_costs_one_request_for_a_model_and_two_for_all(
    store: Store,
    models: dict[str, ModelConfig],
    run_pass: Pass,
    context: MakeContext,
    receiver: LoopbackServer,
    mlflow: LoopbackServer,
) -> None:
    """Beside the pointer's own; with the three of the watch a model has four."""
    models[MODEL] = published(mlflow={}, webhook={})
    promote(store, 1)
    run_pass()
    counted = CountingStore(store.uri)
    asked = len(mlflow.requests), len(receiver.requests)
    publish_models(counted, context(dag_id="publish_champions"), [MODEL])
    assert counted.counts == {"GET": 2, "HEAD": 1}
    assert (len(mlflow.requests), len(receiver.requests)) == (asked[0] + 1, asked[1])


@pytest.mark.parametrize(
    ("connection", "problem"),
    [
        (None, "connection 'webhook': there is none: it is not in the environment"),
        ({"conn_type": "http", "host": "https://h"}, "its password must be whsec_"),
        (
            {"conn_type": "http", "host": "https://h", "password": f"{SECRET}ü"},
            "its password must be",
        ),
        ({"conn_type": "http", "password": SECRET}, "its host is empty"),
        (
            {"conn_type": "http", "host": "https://[::1", "password": SECRET},
            "its host is no address",
        ),
        (
            {"conn_type": "http", "host": "https://h:x", "password": SECRET},
            "its host is no address",
        ),
        ({"conn_type": "http", "host": "https://a:b@h", "password": SECRET}, "without a login"),
        ({"conn_type": "slackwebhook", "host": "h", "password": SECRET}, "must be 'http'"),
    ],
)
def test_a_connection_that_is_missing_or_wrong_is_said_and_forgets_nothing(
    store: Store,
    run_pass: Pass,
    receiver: LoopbackServer,
    monkeypatch: pytest.MonkeyPatch,
    connection: dict[str, str] | None,
    problem: str,
) -> None:
    """The other targets go on; once it is mended, nothing is sent twice."""
    right = json.dumps({"conn_type": "http", "host": receiver.address, "password": SECRET})
    promote(store, 1)
    run_pass()
    if connection is None:
        monkeypatch.delenv("AIRFLOW_CONN_WEBHOOK")
    else:
        monkeypatch.setenv("AIRFLOW_CONN_WEBHOOK", json.dumps(connection))
    (line,) = run_pass()
    assert problem in line
    assert SECRET not in line
    monkeypatch.setenv("AIRFLOW_CONN_WEBHOOK", right)
    assert run_pass() == []
    assert len(receiver.requests) == 1


@pytest.mark.parametrize("token", ["tök", "two words", "line\nbreak"])
def test_a_token_that_no_header_can_hold_keeps_the_champion_from_no_other_target(
    store: Store,
    run_pass: Pass,
    receiver: LoopbackServer,
    monkeypatch: pytest.MonkeyPatch,
    token: str,
) -> None:
    """It is said, without the token."""
    connection = {"conn_type": "http", "host": "127.0.0.1", "port": 1, "password": token}
    monkeypatch.setenv("AIRFLOW_CONN_MLFLOW", json.dumps(connection))
    promote(store, 1)
    (line,) = run_pass()
    assert f"{MODEL}: mlflow: connection 'mlflow': its password is a token" in line
    assert token not in line
    assert len(receiver.requests) == 1


def test_a_model_whose_log_is_damaged_stops_no_other(
    store: Store, models: dict[str, ModelConfig], run_pass: Pass, receiver: LoopbackServer
) -> None:
    """The task fails at the end, naming it."""
    promote(store, 1)
    other = CONFIG.model_copy(update={"name": "another", "publish": models[MODEL].publish})
    models["another"] = other
    store.create(promotion_key("another", 1), b"{}")
    with pytest.raises(RetrainingError, match="the promotion log is not readable"):
        run_pass()
    assert len(receiver.requests) == 1
    assert find_state(store, MODEL) is not None


def test_a_run_that_an_asset_started_is_about_its_model(
    store: Store,
    models: dict[str, ModelConfig],
    context: MakeContext,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """One by the clock is about all."""
    models["another"] = CONFIG
    asked: list[list[str]] = []
    monkeypatch.setattr(tasks, "publish_models", lambda store, context, names: asked.append(names))
    for events in ({Asset(f"{MODEL}_champion"): [object()]}, {}):
        made = context(dag_id="publish_champions", triggering_asset_events=events)
        monkeypatch.setattr(tasks, "get_current_context", lambda made=made: made)
        publish_champions()
    assert asked == [[MODEL], ["another", MODEL]]


def test_the_models_are_found_by_the_text_of_their_yaml() -> None:
    """No model is loaded for it."""
    finds = tasks._PUBLISHES.search
    assert finds("name: x\npublish:\n  mlflow: {}\n")
    assert finds("'publish' : {webhook: {}}")
    assert not finds("# publish: later\nalerts:\n  publish: no\n")


def test_a_pass_that_fails_is_notified_once_a_day(
    store: Store, slack: SlackReceiver, context: MakeContext
) -> None:
    """There is one every five minutes."""
    for number in range(3):
        notify_failed_publishing(
            context(
                dag_id="publish_champions",
                run_id=f"scheduled__{number}",
                exception=RegistryError("toy_model: the promotion log is not readable"),
            )
        )
    (text,) = slack.texts
    assert "champions could not be published" in text
    assert "the promotion log is not readable" in text
