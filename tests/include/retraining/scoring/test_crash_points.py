"""Killed anywhere while versions and inputs come and go, the scores stay those of one version."""

from __future__ import annotations

import os
import random
import time
from datetime import UTC, date, datetime, timedelta
from functools import partial

import numpy as np
import pandas as pd
import pytest

from include.local_airflow.demo.samples import diabetes_progression, new_patients
from include.retraining.config.model import ModelConfig, load_model
from include.retraining.config.scoring import Scoring, ScoringInput
from include.retraining.registry.entry import PromotionEntry
from include.retraining.registry.promotion import Registry
from include.retraining.registry.promotion_log import PromotionLog, serving_of
from include.retraining.runs.manifest import TriggeredBy
from include.retraining.runs.reference import RunRef
from include.retraining.runs.results import write_result
from include.retraining.scoring.job import ScoreJob
from include.retraining.scoring.partitions import Demand, partitions_to_score
from include.retraining.scoring.plan import plan_scoring, read_plan
from include.retraining.scoring.record import find_record, record_of_result
from include.retraining.scoring.score import score
from include.retraining.scoring.scores import ScoresFolder
from include.retraining.serving.version import load_version
from include.retraining.store.marker import initialise
from include.retraining.store.object_store import Store
from tests.support.crash_points import count_points, import_before_forks, kill_at
from tests.support.promoted_samples import promote_sample
from tests.support.scored_toys import read_scores

# What a job imports only when it reads, loads and predicts.
HEAVY = (
    "include.models.diabetes_progression",
    "sklearn.linear_model",
    "sklearn.pipeline",
    "skops.io",
)
import_before_forks(__name__, *HEAVY)

MODEL = "diabetes_progression"
TODAY = date(2026, 11, 24)
DAYS = [TODAY - timedelta(days=back) for back in range(3)]
INPUT = "landing/new/{date}"
KILLS = 5
"""Spread over all points of a job, on each kind of store."""


def config_with_days() -> ModelConfig:
    """The shipped sample, whose champion scores days of input."""
    places = ScoringInput(location=INPUT, flag=f"{INPUT}/_SUCCESS")
    scoring = Scoring(input=places, output="scores/{date}", schedule="@hourly", rescore_days=3)
    return load_model(MODEL).model_copy(update={"scoring": scoring})


def run_ref(number: int) -> RunRef:
    """One of the runs."""
    return RunRef(
        model=MODEL,
        dag_id=f"score_{MODEL}",
        run_id=f"manual__{number}",
        run_after=datetime(2026, 11, 24, 6, tzinfo=UTC) + timedelta(seconds=number),
        clear=0,
        cause=TriggeredBy(run_type="manual"),
        kind="scoring",
    )


def score_all(store: Store, *, number: int) -> None:
    """What a scoring run does: plan, score, record. A retry has its plan."""
    config, run = config_with_days(), run_ref(number)
    champion = PromotionLog(store, MODEL).champion()
    assert champion is not None
    if not store.exists(run.paths.manifest):
        demand = Demand(today=TODAY, rescore_days=3)
        due = partitions_to_score(store, config, champion, demand)
        serving, now = serving_of(champion), datetime.now(UTC)
        plan_scoring(store, config, run, due, serving, now=now)
    plan, paths = read_plan(store, run.paths), run.paths
    job = ScoreJob(store, paths, plan, config, f"try-{os.getpid()}", time.time())
    result = write_result(store, paths, plan, score(job))
    record_of_result(store, run, result)


def land(store: Store, day: date, rows: pd.DataFrame) -> None:
    """Land a day's input."""
    folder = INPUT.format(date=day)
    store.write(f"{folder}/rows.csv", rows.to_csv(index=False).encode())
    store.write(f"{folder}/_SUCCESS", os.urandom(8).hex().encode())


def new_rows(count: int) -> pd.DataFrame:
    """So many rows to score, those of the sample again and again as other patients."""
    from io import BytesIO

    patients = pd.read_csv(BytesIO(new_patients()))
    rounds = range(-(-count // len(patients)))
    others = [patients.assign(patient_id=patients["patient_id"] + 1000 * one) for one in rounds]
    return pd.concat(others, ignore_index=True).head(count)


def two_versions(store: Store) -> tuple[str, str]:
    """Promote a version, and another one that was trained on fewer rows; return their names."""
    first = promote_sample(store, MODEL)
    lines = diabetes_progression().splitlines(keepends=True)
    entry = _promoted(store, b"".join(lines[:-60]))
    return first.version, entry.version


def _promoted(store: Store, delivery: bytes) -> PromotionEntry:
    from include.local_airflow.demo import samples

    file, make = samples.SAMPLES[MODEL]
    samples.SAMPLES[MODEL] = (file, lambda: delivery)
    try:
        return promote_sample(store, MODEL)
    finally:
        samples.SAMPLES[MODEL] = (file, make)


def check_scores(store: Store, rows: dict[date, list[pd.DataFrame]]) -> None:
    """Assert that each partition has whole scores of one version, or none.

    Args:
        store: with the scores.
        rows: of each day the inputs that it had, the newest last.
    """
    for day, inputs in rows.items():
        folder = ScoresFolder.at(store, f"scores/{day}")
        if folder.newest() is None:
            continue
        table, scores = read_scores(folder), folder.newest()
        assert scores is not None
        (frame,) = [one for one in inputs if len(one) == scores.rows]
        assert list(table["patient_id"]) == list(frame["patient_id"])
        expected = load_version(store, MODEL, scores.version).predict(frame)["prediction"]
        np.testing.assert_allclose(table["prediction"], expected)


@pytest.mark.fault("S01")
def test_a_job_that_is_killed_anywhere_leaves_whole_scores(folder: Store):
    """Killed before or after what it writes, a partition has all of one version's scores."""
    kill_and_retry(folder)


@pytest.mark.slow
@pytest.mark.fault("S01")
def test_a_job_that_is_killed_anywhere_leaves_whole_scores_on_s3(
    s3_bucket: str, s3_options: dict[str, str]
):
    """The same holds in a bucket, where a file is there or not."""
    kill_and_retry(initialise(f"s3://{s3_bucket}/prefix", s3_options))


def kill_and_retry(store: Store) -> None:
    """Kill a job at some of its points, each time for another input, and let a retry end it."""
    rows = {DAYS[0]: [new_rows(30)]}
    promote_sample(store, MODEL)
    land(store, DAYS[0], rows[DAYS[0]][0])
    points = count_points(partial(score_all, number=0), store)
    check_scores(store, rows)
    assert points > KILLS
    for at in range(points, 0, -(points // KILLS)):
        rows[DAYS[0]].append(new_rows(30 + at))
        land(store, DAYS[0], rows[DAYS[0]][-1])
        kill_at(partial(score_all, number=at), store, at, is_after=at == points)
        check_scores(store, rows)
        score_all(store, number=at)
        check_scores(store, rows)
        assert find_record(store, run_ref(at)) is not None
        newest = ScoresFolder.at(store, f"scores/{DAYS[0]}").newest()
        assert newest is not None
        assert newest.rows == 30 + at


@pytest.mark.rare
@pytest.mark.timeout(2400)
@pytest.mark.fault("S01")
def test_over_a_hundred_kills_no_partition_mixes_versions_or_is_half_there(store: Store):
    """A hundred jobs are killed while versions are rolled back and days are delivered again."""
    chance = random.Random(20261124)
    first, second = two_versions(store)
    rows = {day: [new_rows(20 + at)] for at, day in enumerate(DAYS)}
    for day, inputs in rows.items():
        land(store, day, inputs[-1])
    kills, number, reached = 0, 0, 40
    while kills < 100:
        number += 1
        day = chance.choice(DAYS)
        rows[day].append(new_rows(24 + number))
        land(store, day, rows[day][-1])
        if chance.random() < 0.5:
            champion = PromotionLog(store, MODEL).champion()
            assert champion is not None
            other = first if champion.version == second else second
            Registry(store, MODEL).rollback(other, actor="ann", reason="it is bad")
        flow = partial(score_all, number=number)
        for _ in range(chance.randint(1, 3)):
            try:
                kill_at(flow, store, chance.randint(1, reached), is_after=chance.random() < 0.5)
            except AssertionError as not_reached:
                assert "exit code 0" in str(not_reached)  # noqa: PT017 it had less to do
            else:
                kills += 1
            check_scores(store, rows)
        score_all(store, number=number)
        check_scores(store, rows)
        champion = PromotionLog(store, MODEL).champion()
        assert champion is not None
        newest = ScoresFolder.at(store, f"scores/{DAYS[0]}").newest()
        assert newest is not None
        assert newest.version == champion.version
