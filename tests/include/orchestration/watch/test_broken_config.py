"""A YAML that breaks on a running Airflow is told by the watch's next look, and stops none."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from include.local_airflow.slack_receiver import SlackReceiver
from include.orchestration.watch import models
from include.pages.airflow_state import DagSummary
from include.pages.attention import needs
from include.retraining.config.model import MODELS_FOLDER, load_model
from include.retraining.history.overview import summarize_model
from include.retraining.store.object_store import Store
from tests.support.contexts import MakeContext

MODEL = "loan_approval"
DAG = DagSummary(f"retrain_{MODEL}", is_there=True)


@pytest.fixture
def look(
    store: Store, context: MakeContext, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[[bytes], list[str]]:
    """Return what a look of the watch says of a model whose YAML holds this."""
    (tmp_path / f"{MODEL}.py").write_text("")
    monkeypatch.setattr(models, "load_model", partial(load_model, folder=tmp_path))
    # What Airflow would say of a model that can be read; nothing is wrong with it.
    monkeypatch.setattr("include.retraining.watch.conditions.problems", lambda _: [])
    monkeypatch.setattr(models, "is_paused", lambda dag_id: False)
    monkeypatch.setattr(models, "newest_runs", lambda dag_id, limit: iter(()))

    def once(yaml: bytes) -> list[str]:
        (tmp_path / f"{MODEL}.yaml").write_bytes(yaml)
        return models.check_model(store, MODEL, context()).raised

    return once


GOOD = (MODELS_FOLDER / f"{MODEL}.yaml").read_bytes()
BROKEN = [
    pytest.param(b"owner: nobody\n", "(and ", id="fields"),
    pytest.param(b"owner: [", "not readable as YAML", id="yaml"),
    pytest.param(b"owner: \xff\n", "cannot be read", id="text"),
    pytest.param(
        GOOD.replace(b"0 6 * * *", b"0 6 30 2 *"),
        "never comes",
        id="schedule",
    ),
    pytest.param(GOOD + b"\nnonsense: 1\n", "nonsense: is not a field", id="unknown field"),
]


@pytest.mark.parametrize(("yaml", "why"), BROKEN)
def test_a_configuration_that_breaks_is_told_once_and_when_it_is_mended(
    store: Store, slack: SlackReceiver, look: Callable[[bytes], list[str]], yaml: bytes, why: str
) -> None:
    """One message while it lasts, whatever is wrong; the page shows it among what is needed."""
    assert look(GOOD) == []
    (line,) = look(yaml)
    assert line.startswith("configuration: ")
    assert len(look(b"owner: nobody\n")) == 1
    (need,) = needs(summarize_model(store, MODEL, entries=1), DAG, 0)
    assert need.summary.startswith("its configuration is wrong, since ")
    assert need.runbook == "configuration"
    (told,) = slack.texts
    assert why in told
    assert f"validate-config {MODEL}" in told
    assert look(GOOD) == []
    assert needs(summarize_model(store, MODEL, entries=1), DAG, 0) == []
    assert "can be read again" in slack.texts[-1]
    assert len(slack.texts) == 2
