"""Judge the last runs again by other rules, from their stored evaluations."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from include.retraining.config.model import GatePolicy
from include.retraining.decisions.records import decisions
from include.retraining.gate.rules import Answer, judge
from include.retraining.store.object_store import Store


@dataclass(frozen=True)
class Replayed:
    """One run, judged again."""

    run: str
    run_after: datetime
    before: Answer
    after: Answer
    headline: str
    """Of the new verdict."""

    @property
    def flips(self) -> bool:
        """Whether the decision would be another one."""
        return self.before is not self.after


def replay(store: Store, model: str, policy: GatePolicy, *, limit: int = 20) -> list[Replayed]:
    """Judge a model's last evaluations by ``policy``, newest first.

    Each evaluation holds what was measured then, so a metric, slice or attribute that the new rules
    ask for and the old ones did not is CANNOT JUDGE.

    Args:
        store: the store.
        model: the model's name.
        policy: the rules to try.
        limit: how many judged runs to look back.
    """
    replayed: list[Replayed] = []
    for record in decisions(store, model):
        if record.verdict is None or record.report is None:
            continue
        verdict = judge(record.report, policy, report_digest=record.verdict.report_digest)
        before, after = record.verdict.answer, verdict.answer
        replayed.append(Replayed(record.run, record.run_after, before, after, verdict.headline))
        if len(replayed) == limit:
            break
    return replayed
