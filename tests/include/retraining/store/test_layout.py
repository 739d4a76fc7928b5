from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from include.retraining.exceptions import ConfigError
from include.retraining.store import layout
from include.retraining.store.layout import RunPaths, run_key

DUE = datetime(2026, 11, 24, 6, 30, tzinfo=UTC)


@settings(max_examples=50, deadline=None)
@given(run_id=st.text(max_size=300))
def test_any_run_id_becomes_a_safe_name(run_id: str):
    """Whatever Airflow lets through as a run id, its folder is one plain name."""
    name = run_key(run_id, DUE)
    assert re.fullmatch(r"20261124T063000-[A-Za-z0-9_.-]*-[0-9a-f]{8}", name)
    assert len(name) <= 85


@settings(max_examples=50, deadline=None)
@given(first=st.text(max_size=80), second=st.text(max_size=80))
def test_two_runs_never_share_a_folder(first: str, second: str):
    """Ids that look alike once made safe are told apart by their hash."""
    assert (run_key(first, DUE) == run_key(second, DUE)) == (first == second)


def test_a_listing_of_runs_is_in_time_order():
    """The time comes first and in UTC, whatever zone it was given in."""
    summer = timezone(timedelta(hours=2))
    assert run_key("x", datetime(2026, 11, 24, 8, 30, tzinfo=summer)) == run_key("x", DUE)
    assert run_key("z", DUE) < run_key("a", DUE + timedelta(seconds=1))


def test_promotions_list_in_their_order():
    """Numbers are padded, so that the last name is the highest generation."""
    assert layout.promotion_key("m", 9) < layout.promotion_key("m", 10)
    assert layout.promotion_key("m", 12) == "models/m/promotions/00000012.json"


def test_every_key_of_a_run_lies_in_its_folder_but_its_decision():
    """Decisions lie together, so that one listing shows them all."""
    paths = RunPaths("churn", run_key("manual__1", DUE))
    for key in (
        paths.manifest,
        paths.result("train"),
        paths.failure("train"),
        paths.evaluation,
        paths.predictions,
        paths.verdict(0),
        paths.card,
    ):
        assert key.startswith(f"{paths.folder}/")
    assert paths.decision(2) == f"models/churn/decisions/{paths.run}.002.json"


@pytest.mark.parametrize("store", ["file:///data/store", "s3://bucket/a/prefix", "s3://bucket"])
def test_a_runs_address_leads_back_to_it(store: str):
    """What a job is started with names the store and the run."""
    paths = RunPaths("churn", run_key("manual__1", DUE)).next_plan()
    assert RunPaths.from_uri(paths.uri(store)) == (store, paths)
    assert RunPaths.from_uri(paths.uri(store) + "/") == (store, paths)


@pytest.mark.parametrize(
    "uri",
    [
        "",
        "file:///data/store",
        "file:///data/models/churn/runs/",
        "file:///data/models/churn/runs/..",
        "file:///data/models/churn/runs/.",
        "file:///data/models/churn/runs/a/b",
        "file:///data/models/../runs/a",
        "file:///data/models/Churn/runs/a",
        "file:///data/models/churn/runs/a b",
        "file:///data/models/churn/runs/a\n",
        "/models/churn/decisions/a",
    ],
)
def test_an_address_that_is_no_runs_is_refused(uri: str):
    """A job never reads from where an address leads by accident."""
    with pytest.raises(ConfigError, match="must be STORE/models/NAME/runs/RUN"):
        RunPaths.from_uri(uri)


def test_a_run_that_is_planned_again_gets_folders_of_its_own():
    """Plans are numbered behind the run's name; its decisions keep the name itself."""
    first = RunPaths("churn", run_key("manual__1.2", DUE))
    second = first.next_plan()
    third = second.next_plan()
    assert (second.run, third.run) == (f"{first.run}.2", f"{first.run}.3")
    assert third.next_plan().run == f"{first.run}.4"
    assert {plan.first_plan for plan in (first, second, third)} == {first.run}
    assert third.decision(1) == first.decision(1)
    assert len({plan.manifest for plan in (first, second, third)}) == 3


@settings(max_examples=50, deadline=None)
@given(run_id=st.text(max_size=80))
def test_no_run_id_looks_like_a_later_plan(run_id: str):
    """The hash at the end of a run's own name keeps `.2` from being read into an id."""
    paths = RunPaths("churn", run_key(run_id, DUE))
    assert paths.first_plan == paths.run
    assert paths.next_plan().first_plan == paths.run
