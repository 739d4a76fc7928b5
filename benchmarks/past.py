"""What many models left behind, computed rather than stored: the same keys and bytes each time.

A thousand models with ten thousand runs each are thirty million objects. On a folder, only what the
watch may read is written for each model; the folders of runs and of decisions are written once, and
every model's are links to them. On S3 (`benchmarks.s3_of_the_past`), no object exists at all.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cached_property
from pathlib import Path

from include.retraining.config.model import ModelConfig
from include.retraining.decisions.record import DecisionRecord, Outcome
from include.retraining.documents import sha256_of
from include.retraining.notifications.notice import Links, Notice, NoticeKind, alert
from include.retraining.notifications.outbox import Claim
from include.retraining.registry.entry import PromotionEntry, PromotionKind
from include.retraining.runs.journal import RunStart
from include.retraining.runs.manifest import TriggeredBy
from include.retraining.runs.reference import RunRef
from include.retraining.store.layout import OUTBOX, promotion_key
from include.retraining.store.object_store import Store

AIRFLOW = "http://localhost:8080"
RUNS_PER_PROMOTION = 100
RUNS_PER_NOTICE = 100
"""How many runs, of all models together, share a message that was sent and lies in the outbox."""


@dataclass(frozen=True)
class Past:
    """Some models that all ran every hour until an hour ago."""

    models: int
    runs: int
    """Of each model."""
    now: datetime

    @cached_property
    def names(self) -> list[str]:
        """The models' names."""
        return [f"bench_{number:04d}" for number in range(self.models)]

    @cached_property
    def run_names(self) -> list[str]:
        """The folders of a model's runs, the same for all models, oldest first."""
        return [self.run("bench_0000", number).paths.run for number in range(self.runs)]

    @property
    def promotions(self) -> int:
        """How many entries each promotion log has."""
        return max(self.runs // RUNS_PER_PROMOTION, 2)

    @property
    def notices(self) -> int:
        """How many messages were ever sent, by all models."""
        return self.models * self.runs // RUNS_PER_NOTICE // 100

    def run(self, model: str, number: int) -> RunRef:
        """Return one run of a model."""
        due = self.now - timedelta(hours=self.runs - number)
        return RunRef(
            model=model,
            dag_id=f"retrain_{model}",
            run_id=f"scheduled__{due:%Y-%m-%dT%H:%M:%S}+00:00",
            run_after=due,
            clear=0,
            cause=TriggeredBy(run_type="scheduled"),
        )

    def begun(self, model: str, number: int) -> bytes:
        """Return that a run began."""
        run = self.run(model, number)
        begun = RunStart(
            dag_id=run.dag_id,
            run_id=run.run_id,
            run_after=run.run_after,
            cause=run.cause,
            airflow=AIRFLOW,
        )
        return begun.to_bytes()

    def record(self, model: str, number: int) -> bytes:
        """Return a decision record: nothing had changed."""
        run = self.run(model, number)
        empty = dict.fromkeys(
            name for name, field in DecisionRecord.model_fields.items() if field.is_required()
        )
        facts = {
            "model": model,
            "dag_id": run.dag_id,
            "run_id": run.run_id,
            "run": run.paths.run,
            "clear": 0,
            "outcome": Outcome.NO_CHANGE,
            "reason": "nothing had changed",
            "decided_at": run.run_after + timedelta(minutes=5),
            "run_after": run.run_after,
            "cause": run.cause,
        }
        return DecisionRecord.model_validate({**empty, **facts}).to_bytes()

    def entry(self, model: str, generation: int) -> bytes:
        """Return an entry of a promotion log; only the newest really follows the one before."""
        is_head = generation == self.promotions
        before = self.entry(model, generation - 1) if is_head else None
        entry = PromotionEntry(
            model=model,
            generation=generation,
            kind=PromotionKind.PROMOTION,
            version="0123456789abcdef",
            version_digest="f" * 64,
            previous_sha256=self._previous(generation, before),
            nonce=f"{model}-{generation}",
            judged_against=generation - 1,
            verdict_digest="e" * 64,
            metric="roc_auc",
            value=0.9,
            data_date=f"{self.now:%Y-%m-%d}",
            run_id=self.run(model, 0).run_id,
            actor=f"retrain_{model}",
            reason="better",
            created_at=self.now - timedelta(days=1),
        )
        return entry.to_bytes()

    def _previous(self, generation: int, before: bytes | None) -> str | None:
        if generation == 1:
            return None
        return "0" * 64 if before is None else sha256_of(before)

    def notice(self, number: int) -> Notice:
        """Return a message that was sent."""
        return alert(
            event="promoted",
            kind=NoticeKind.GOOD_NEWS,
            key=f"bench.{number:08d}.promoted",
            title="Bench",
            model=self.names[number % self.models],
            headline="promoted",
            why="better",
            step="Nothing to do.",
            owner=None,
            serving=None,
            links=Links(),
            runbook="",
        )

    def sent_notices(self) -> dict[str, bytes]:
        """Return all that the messages left in the outbox, by its keys."""
        found: dict[str, bytes] = {}
        claim = Claim(nonce="0" * 32, claimed_at=self.now).to_bytes()
        for number in range(self.notices):
            notice = self.notice(number)
            found[f"{OUTBOX}/{notice.key}.json"] = notice.to_bytes()
            for what in ("claim-1", "sent"):
                found[f"{OUTBOX}/{notice.key}.{what}.json"] = claim
        return found

    def write(self, store: Store) -> None:
        """Write all of it into a store on a folder."""
        root = store.local_path("")
        assert root is not None, "on a bucket, nothing needs to be written"
        shared = root / "past"
        self._write_shared(shared)
        for name in self.names:
            model = root / "models" / name
            (model / "promotions").mkdir(parents=True)
            for folder in ("runs", "decisions"):
                (model / folder).symlink_to(shared / folder)
            for generation in range(1, self.promotions + 1):
                path = root / promotion_key(name, generation)
                if generation > self.promotions - 2:
                    path.write_bytes(self.entry(name, generation))
                else:
                    path.hardlink_to(shared / "entry.json")
        for key, data in self.sent_notices().items():
            (root / key).parent.mkdir(exist_ok=True)
            (root / key).write_bytes(data)

    def _write_shared(self, folder: Path) -> None:
        for name in ("runs", "decisions"):
            (folder / name).mkdir(parents=True)
        (folder / "entry.json").write_bytes(b"{}")
        model = self.names[0]
        for number, run in enumerate(self.run_names):
            (folder / "runs" / run).mkdir()
            (folder / "runs" / run / "begun.json").write_bytes(self.begun(model, number))
            (folder / "decisions" / f"{run}.000.json").write_bytes(self.record(model, number))

    def config(self, shipped: ModelConfig, model: str) -> ModelConfig:
        """Return the configuration of a model: a shipped one's, hourly."""
        trigger = shipped.trigger.model_copy(update={"schedule": "@hourly"})
        return shipped.model_copy(update={"name": model, "trigger": trigger, "deadline": None})


def recently() -> datetime:
    """Return the start of this hour, at which the next runs are due."""
    return datetime.now(UTC).replace(minute=0, second=0, microsecond=0)
