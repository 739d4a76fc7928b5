"""What the steps used, against what they were given. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from markupsafe import Markup

from include.pages.charts import bar
from include.retraining.config.sizes import memory_bytes
from include.retraining.config.step_names import STEPS
from include.retraining.decisions.record import DecisionRecord
from include.retraining.formatting.numbers import number
from include.retraining.runs.usage import ComputeUsed


@dataclass(frozen=True)
class StepUse:
    """One step of the last run that ran it, and the maximum over all shown runs."""

    step: str
    used: ComputeUsed
    record: DecisionRecord
    """Of the last run that ran it."""
    max_bytes: int | None
    max_seconds: float | None
    given_bytes: int | None
    """None for no limit."""

    @property
    def bar(self) -> Markup:
        """How much of the memory that was given the step took at its peak."""
        peak = self.used.peak_memory_bytes
        if peak is None or self.given_bytes is None:
            return Markup("")
        words = f"{number(100 * peak / self.given_bytes, 2)} % of {self.used.memory}"
        return bar(peak, self.given_bytes, words)


def step_uses(records: Iterable[DecisionRecord]) -> list[StepUse]:
    """Return what each step used, from the decisions, the newest first."""
    newest_first = list(records)
    uses = []
    for step in STEPS:
        ran = [
            (record, record.compute[step])
            for record in newest_first
            if step in record.compute and record.compute[step].seconds is not None
        ]
        if ran:
            record, used = ran[0]
            uses.append(
                StepUse(
                    step=step,
                    used=used,
                    record=record,
                    max_bytes=max(
                        (
                            one.peak_memory_bytes
                            for _, one in ran
                            if one.peak_memory_bytes is not None
                        ),
                        default=None,
                    ),
                    max_seconds=max(one.seconds or 0.0 for _, one in ran),
                    given_bytes=bytes_of(used.memory),
                )
            )
    return uses


def bytes_of(memory: str | None) -> int | None:
    """Return an amount such as `4096MiB` in bytes; None where there is no limit."""
    return memory_bytes(memory) if memory else None
