"""A toy model whose champion scores days of input: promotions, rollbacks and scoring runs."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from datetime import time as clock
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from include.retraining.documents import sha256_of
from include.retraining.monitoring.label_grade import with_grades
from include.retraining.monitoring.label_windows import windows_due
from include.retraining.registry.entry import PromotionEntry, PromotionKind
from include.retraining.registry.promotion import Registry
from include.retraining.registry.promotion_log import PromotionLog, serving_of
from include.retraining.runs.manifest import TriggeredBy
from include.retraining.runs.reference import RunRef
from include.retraining.runs.results import write_result
from include.retraining.scoring.job import ScoreJob
from include.retraining.scoring.partitions import Demand, partitions_to_score
from include.retraining.scoring.plan import plan_scoring
from include.retraining.scoring.record import record_of_result
from include.retraining.scoring.refusals import keep_refusals
from include.retraining.scoring.result import ScoreResult
from include.retraining.scoring.score import score
from include.retraining.scoring.scores import ScoresFolder
from include.retraining.store.layout import RunPaths, promotion_key
from include.retraining.store.object_store import Store
from tests.support.toy_models import Toy, make_frame

TODAY = date(2026, 11, 24)
NOON = clock(12)
SCORING: dict[str, Any] = {
    "input": {"location": "landing/new/{date}", "flag": "landing/new/{date}/_SUCCESS"},
    "output": "scores/{date}",
    "schedule": "*/30 * * * *",
}


def rows_to_score(seed: int = 9, rows: int = 60, **columns: Any) -> pd.DataFrame:
    """Rows without a label, under keys of their own."""
    frame = make_frame("regression", rows, seed=seed).drop(columns="y")
    frame["id"] += 10_000
    return frame.assign(**columns)


def day(back: int) -> date:
    """The day so many days before the tests' today."""
    return TODAY - timedelta(days=back)


@dataclass
class ScoringToy:
    """One toy model with scoring, and how often it was planned."""

    toy: Toy
    runs: int = 0

    @property
    def store(self) -> Store:
        """Where everything lies."""
        return self.toy.store

    @property
    def log(self) -> PromotionLog:
        """The promotion log."""
        return PromotionLog(self.store, self.toy.name)

    def promote(self, seed: int) -> str:
        """Train on a delivery of its own and let that version serve; return its name."""
        self.toy.deliver(make_frame(self.toy.problem, seed=seed, signal=1.0 + seed))
        job = self.toy.plan()
        version = self.toy.train(job)
        head = self.log.head()
        newest = promotion_key(self.toy.name, head)
        entry = PromotionEntry(
            model=self.toy.name,
            generation=head + 1,
            kind=PromotionKind.PROMOTION,
            version=version.version,
            version_digest=version.manifest.sha256,
            previous_sha256=sha256_of(self.store.read(newest)) if head else None,
            nonce=uuid.uuid4().hex,
            judged_against=head,
            verdict_digest=None,
            metric=None,
            value=None,
            data_date=TODAY.isoformat(),
            run_id=job.manifest.run_id,
            clear=0,
            actor="tests",
            reason="planted",
            created_at=datetime.now(UTC),
        )
        assert Registry(self.store, self.toy.name).append(entry) is not None
        return version.version

    def roll_back(self, version: str) -> None:
        """Make an earlier version the champion again."""
        Registry(self.store, self.toy.name).rollback(version, actor="ann", reason="it is bad")

    def land(self, back: int, frame: pd.DataFrame, *, as_csv: bool = False) -> None:
        """Land a day's input in place of what was there, and then its flag."""
        folder = f"landing/new/{day(back)}"
        for info in self.store.objects(folder):
            self.store.delete(info.key)
        if as_csv:
            self.store.write(f"{folder}/rows.csv", frame.to_csv(index=False).encode())
        else:
            self.store.write(f"{folder}/rows.parquet", frame.to_parquet(index=False))
        self.store.write(f"{folder}/_SUCCESS", uuid.uuid4().hex.encode())

    def run_ref(self) -> RunRef:
        """The newest run."""
        return RunRef(
            model=self.toy.name,
            dag_id=f"score_{self.toy.name}",
            run_id=f"manual__{self.runs}",
            run_after=datetime(2026, 11, 24, 6, self.runs, tzinfo=UTC),
            clear=0,
            cause=TriggeredBy(run_type="manual"),
            kind="scoring",
        )

    def plan(self, today: date = TODAY, **asked: Any) -> ScoreJob | None:
        """Plan a run of the tests' today, or another; None when nothing is due."""
        self.runs += 1
        champion = self.log.champion()
        assert champion is not None
        demand = Demand(today=today, **asked)
        due = partitions_to_score(self.store, self.toy.config, champion, demand)
        windows = tuple(map(str, windows_due(self.store, self.toy.config, today)))
        if not due.partitions and not windows:
            return None
        plan = plan_scoring(
            self.store,
            self.toy.config,
            self.run_ref(),
            due,
            serving_of(champion),
            now=datetime.combine(today, NOON, UTC),
            windows=windows,
        )
        paths = RunPaths(self.toy.name, plan.run, "scoring")
        attempt = f"try-{self.runs}"
        return ScoreJob(self.store, paths, plan, self.toy.config, attempt, time.time())

    def finish(self, job: ScoreJob) -> ScoreResult:
        """Run the step and leave its evidence and the record."""
        scored = with_grades(job, score(job))
        result = write_result(job.store, job.paths, job.manifest, scored)
        record_of_result(self.store, self.run_ref(), result)
        keep_refusals(self.store, self.toy.name, result.refused)
        return result

    def run(self, today: date = TODAY, **asked: Any) -> ScoreResult | None:
        """Plan, score and grade."""
        job = self.plan(today, **asked)
        return None if job is None else self.finish(job)

    def folder(self, back: int) -> ScoresFolder:
        """The folder of a day's scores."""
        return ScoresFolder.at(self.store, f"scores/{day(back)}")

    def versions(self, *back: int) -> list[str | None]:
        """Which version scored each of some days."""
        newest = [self.folder(one).newest() for one in back]
        return [None if scores is None else scores.version for scores in newest]

    def table(self, back: int) -> pd.DataFrame:
        """The scores of a day that count, after comparing their file with the manifest."""
        return read_scores(self.folder(back))


def read_scores(folder: ScoresFolder) -> pd.DataFrame:
    """Read the scores that count in a folder, as a consumer would, verified."""
    scores = folder.newest()
    assert scores is not None
    folder.verify(scores)
    (file,) = scores.files
    frame = pq.read_table(pa.BufferReader(folder.store.read(folder.key(file.name)))).to_pandas()
    assert len(frame) == scores.rows
    assert set(frame["model_version"]) == {scores.version}
    return frame


MakeToy = Callable[..., Toy]


def make_scoring_toy(make_toy: MakeToy, problem: str = "regression", **how: Any) -> ScoringToy:
    """Return a toy whose champion scores days of input."""
    scoring = {**SCORING, **how.pop("scoring", {})}
    return ScoringToy(make_toy(problem, scoring=scoring, **how))
