"""A store as it looks after months: many models, thousands of decisions of every kind.

Nothing is trained and nothing is judged: documents are written as the runs leave them, without
waiting for a disk, so that 2,000 take seconds.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any

from include.retraining.decisions.alarm_state import AlarmState, RaisedAlarm
from include.retraining.decisions.record import DecisionRecord, Outcome
from include.retraining.documents import sha256_of
from include.retraining.fingerprint.pinned import Code
from include.retraining.gate.rules import judge
from include.retraining.notifications.notice import Links, NoticeKind, alert
from include.retraining.notifications.outbox import post
from include.retraining.registry.entry import PromotionEntry, PromotionKind
from include.retraining.runs.manifest import Params, Serving, TriggeredBy
from include.retraining.runs.usage import ComputeUsed
from include.retraining.store.layout import RunPaths, promotion_key, run_key, watch_key
from include.retraining.store.marker import initialise
from include.retraining.store.object_store import Store
from include.retraining.watch.heartbeat import write_heartbeat
from tests.support.gate_checks import make_policy, make_report

NAMES = ("credit_limit", "churn", "delivery_time", "demand", "fraud", "lead_score", "price", "spam")
OWNERS = ("credit-risk", "growth", "logistics", "payments")
SHA = "6fbc31a9c0de4be2a5f07d1c9b8e3a4455667788"
SCRIPT = "<script>alert(1)</script>"
MODELS, DECISIONS = 50, 2000


@dataclass(frozen=True)
class Day:
    """One run of one model."""

    number: int
    due: datetime
    outcome: Outcome


def crowded_store(
    uri: str,
    options: Mapping[str, str] | None = None,
    *,
    models: int = MODELS,
    decisions: int = DECISIONS,
    first: Sequence[str] = (),
    has_markup: bool = True,
    now: datetime | None = None,
) -> Store:
    """Make a store and fill it.

    Args:
        uri: the address of an empty folder or bucket.
        options: of the bucket.
        models: how many.
        decisions: of all of them together.
        first: names that some of them shall have.
        has_markup: whether the reason of the first model's newest decision holds a script.
        now: when the last run ended.
    """
    store = initialise(uri, dict(options or {}))
    names = [*first, *(f"{NAMES[n % len(NAMES)]}_{n:02d}" for n in range(models - len(first)))]
    for place, name in enumerate(names):
        marked = has_markup and place == 0
        days = decisions // models
        Past(store, name, place, days, now or datetime.now(UTC), has_markup=marked).write()
    write_heartbeat(store, [])
    return store


class Past:
    """What one model left behind, the same for the same place."""

    def __init__(
        self,
        store: Store,
        model: str,
        place: int,
        days: int,
        now: datetime,
        *,
        has_markup: bool,
    ) -> None:
        """Describe it: ``place`` decides what became of the model."""
        self.has_markup = has_markup
        self.store, self.model, self.place = store, model, place
        self.random = Random(place)
        self.serving: PromotionEntry | None = None
        self.score = 0.80 + self.random.random() * 0.05
        self.served: list[tuple[str, float]] = []
        """Each version that a run promoted, with its score."""
        self.days = [
            Day(number, now - timedelta(days=days - number, minutes=37 + place), outcome)
            for number, outcome in enumerate(self._outcomes(days))
        ]

    @property
    def _title(self) -> str:
        return self.model.replace("_", " ").capitalize()

    def write(self) -> None:
        """Write it all."""
        for day in self.days:
            self._decide(day)
            if self.place % 10 == 1 and day.number == len(self.days) * 2 // 3:
                self._hold(day.due + timedelta(hours=2))
                self._release(day.due + timedelta(hours=3))
        if self.place % 10 == 4 and self.serving is not None:
            self._hold(self.days[-1].due + timedelta(minutes=9))
        if self.place % 10 == 6:
            self._raise("late", self.days[-1].due)
        if self.place % 25 == 7:
            post(self.store, self._untold())

    def _outcomes(self, days: int) -> list[Outcome]:
        usual = [Outcome.NO_CHANGE] * 6 + [Outcome.PROMOTED, Outcome.REJECTED, Outcome.DRY_RUN]
        found = [Outcome.PROMOTED, *(self.random.choice(usual) for _ in range(days - 1))]
        last = {
            0: Outcome.REJECTED,
            1: Outcome.PROMOTED,
            2: Outcome.FAILED,
            3: Outcome.CANNOT_JUDGE,
            4: Outcome.HELD,
            5: Outcome.DATA_REJECTED,
        }
        found[-1] = last.get(self.place % 10, found[-1])
        return found[:days]

    def _decide(self, day: Day) -> None:
        run_id = f"scheduled__{day.due:%Y-%m-%dT%H:%M:%S}+00:00"
        paths = RunPaths(self.model, run_key(run_id, day.due))
        before = self.serving
        evaluated = day.outcome not in {
            Outcome.NO_CHANGE,
            Outcome.DATA_REJECTED,
            Outcome.FAILED,
        }
        report = verdict = None
        version = sha256_of(f"{self.model} {day.number}".encode())[:16]
        if evaluated:
            report, verdict = self._judged(day, version, run_id)
        if day.outcome is Outcome.PROMOTED:
            self.score = report.challenger.metrics["accuracy"] if report else self.score
            self._promote(day, version, run_id, verdict)
        serves = self.serving and Serving(
            version=self.serving.version, generation=self.serving.generation
        )
        record = DecisionRecord(
            model=self.model,
            dag_id=f"retrain_{self.model}",
            run_id=run_id,
            run=paths.run,
            clear=0,
            outcome=day.outcome,
            reason=self._reason(day, verdict),
            decided_at=day.due + timedelta(minutes=6),
            run_after=day.due,
            failed_task="train_model" if day.outcome is Outcome.FAILED else None,
            failure="out_of_memory" if day.outcome is Outcome.FAILED else None,
            cause=TriggeredBy(run_type="scheduled"),
            params=Params(date=day.due.date()),
            flag=None,
            delivery=None,
            code=Code(
                core_digest="c" * 64,
                model_digest="d" * 64,
                lock_digest="e" * 64,
                python="3.12",
                git_sha=SHA,
            ),
            config_digest="a" * 64,
            policy_digest="b" * 64,
            fingerprint=sha256_of(version.encode()),
            version=version if evaluated else None,
            rows=2500 if evaluated else None,
            compute=self._compute() if evaluated else {},
            verdict=verdict,
            report=report,
            previous=before and Serving(version=before.version, generation=before.generation),
            serving=serves,
            serving_since=self.serving and self.serving.created_at,
            title=self._title,
            owner=OWNERS[self.place % len(OWNERS)],
        )
        self.store.write(paths.decision(0), record.to_bytes())

    def _judged(self, day: Day, version: str, run_id: str) -> tuple[Any, Any]:
        shift = self.random.uniform(-0.002, 0.008)
        if day.outcome is Outcome.REJECTED:
            shift = -0.03
        is_unfair = day.outcome is Outcome.REJECTED and self.place % 10 == 0
        score = self.score + shift
        impact = round(0.75 + self.random.random() * 0.2, 4)
        changes: dict[str, Any] = {
            "model": self.model,
            "run_id": run_id,
            "challenger.version": version,
            "challenger.metrics": {"accuracy": score, "roc_auc": min(score + 0.05, 0.99)},
            "against_baseline.difference": score - 0.6,
            "against_baseline.lower": score - 0.65,
            "against_baseline.upper": score - 0.55,
            "slices.0.challenger": score + 0.01,
            "slices.1.challenger": score - 0.02,
            "fairness.0.disparate_impact": 0.74 if is_unfair else max(impact, 0.81),
            "best": None,
        }
        if self.serving is None:
            changes["champion"] = None
        else:
            changes |= {
                "champion.serving": {
                    "version": self.serving.version,
                    "generation": self.serving.generation,
                },
                "champion.scores.metrics": {"accuracy": self.score, "roc_auc": self.score + 0.05},
                "champion.judged.value": self.score,
                "champion.comparison.difference": shift,
                "champion.comparison.lower": shift - 0.006,
                "champion.comparison.upper": shift + 0.006,
            }
            if day.outcome is Outcome.CANNOT_JUDGE:
                changes |= {
                    "champion.comparison": None,
                    "champion.error": "trained with scikit-learn 1.8.0, here is 1.9.1",
                }
        report = make_report(changes)
        return report, judge(report, make_policy(), report_digest=report.content_digest)

    def _promote(self, day: Day, version: str, run_id: str, verdict: Any) -> None:
        self.served.append((version, self.score))
        self._append(
            day.due + timedelta(minutes=5),
            PromotionKind.PROMOTION,
            version=version,
            run_id=run_id,
            actor=f"retrain_{self.model}",
            reason=verdict.headline,
            verdict_digest=verdict.content_digest,
        )

    def _hold(self, at: datetime) -> None:
        version, self.score = self.served[-2:][0]
        self._append(
            at,
            PromotionKind.ROLLBACK,
            version=version,
            actor="ann",
            reason="it refuses everyone",
            is_held=True,
        )

    def _release(self, at: datetime) -> None:
        self._append(at, PromotionKind.RELEASE, actor="ann", reason="the labels are repaired")

    def _append(self, at: datetime, kind: PromotionKind, **changes: Any) -> None:
        before = self.serving
        generation = before.generation + 1 if before else 1
        values: dict[str, Any] = {
            "version": before.version if before else "",
            "run_id": None,
            "verdict_digest": None,
            "is_held": False,
            **changes,
        }
        entry = PromotionEntry(
            model=self.model,
            generation=generation,
            kind=kind,
            version_digest="f" * 64,
            previous_sha256=None if before is None else sha256_of(before.to_bytes()),
            nonce=f"{self.place}-{generation}",
            judged_against=generation - 1,
            metric="accuracy",
            value=self.score,
            data_date=at.date().isoformat(),
            created_at=at,
            **values,
        )
        self.store.write(promotion_key(self.model, generation), entry.to_bytes())
        self.serving = entry

    def _reason(self, day: Day, verdict: Any) -> str:
        if self.has_markup and day is self.days[-1]:
            return f'the producer says {SCRIPT} & "more"'
        if verdict is not None:
            return str(verdict.headline)
        return {
            Outcome.NO_CHANGE: "the same data, code and configuration were decided on before",
            Outcome.DATA_REJECTED: "column income: 14 of 2,500 rows are below 0",
            Outcome.FAILED: "train: the job was killed: out of memory at 4096MiB",
        }[day.outcome]

    def _compute(self) -> dict[str, ComputeUsed]:
        return {
            step: ComputeUsed(
                backend="batch" if self.place % 3 == 0 else "local",
                cpu=2.0,
                memory="4096MiB" if self.place % 3 == 0 else None,
                seconds=round(base * (0.8 + 0.4 * self.random.random()), 2),
                peak_memory_bytes=int(peak * 2**20 * (0.8 + 0.4 * self.random.random())),
            )
            for step, base, peak in (
                ("validate", 9.0, 600),
                ("train", 140.0, 3300),
                ("evaluate", 31.0, 900),
            )
        }

    def _raise(self, condition: str, since: datetime) -> None:
        raised = RaisedAlarm(
            since=since, model=self.model, title=self._title, over="it has decided, late"
        )
        watched = AlarmState(since=since - timedelta(days=30), raised={condition: raised})
        self.store.write(watch_key(f"models/{self.model}"), watched.to_bytes())

    def _untold(self) -> Any:
        return alert(
            event="broken",
            kind=NoticeKind.BROKEN,
            key=f"{self.model}.untold",
            title=self._title,
            model=self.model,
            headline="the run broke",
            why="for a test",
            step="none",
            owner=None,
            serving=None,
            links=Links(),
            runbook="broken",
        )


def damage(store: Store, key: str) -> None:
    """Cut a document in half."""
    data = store.read(key)
    json.loads(data)  # it was whole
    store.write(key, data[: len(data) // 2])
