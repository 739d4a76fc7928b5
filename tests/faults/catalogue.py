"""The faults, bad inputs and abuses that this repository answers for, as values."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import yaml

CATALOGUE = Path(__file__).with_name("catalogue.yaml")
AREAS = {
    "A": "How data arrive",
    "B": "The data contract",
    "C": "Local jobs",
    "D": "AWS Batch",
    "K": "Kubernetes",
    "F": "The gate",
    "G": "Registry and promotion",
    "H": "Messages",
    "I": "Airflow itself",
    "J": "Deadlines and clocks",
    "T": "The trigger form and its API",
    "L": "Secrets",
    "M": "What a model file may hold",
    "N": "Records",
    "O": "Build and supply",
    "Q": "Publishing",
    "S": "Scores",
    "V": "Serving: whoever uses the champion",
    "W": "Truth afterwards: what labels of later show",
}
# The ten of the cases on a whole Airflow that would do the most harm: each change is tried on them.
MOST_DANGEROUS = frozenset(
    {"C01", "C04", "D01", "D04", "K01", "F15", "G17", "H01", "I01", "L01"},
)


@dataclass(frozen=True)
class Case:
    """One fault.

    Attributes:
        id: its area's letter and a number.
        tier: `u` in one process, `m` with servers on loopback, `CP` killed at every side effect,
            `a` on a whole Airflow.
        priority: `P0` must have a passing test or a reason.
        happens: the fault, in one line.
        holds: what must be true all the same, in one line.
        not_here: why there is no test of it; empty if there must be one.
    """

    id: str
    tier: Literal["u", "m", "CP", "a"]
    priority: Literal["P0", "P1", "P2"]
    happens: str
    holds: str
    not_here: str = ""


def catalogue() -> dict[str, Case]:
    """Return all cases by id, in the order of the file."""
    areas = yaml.safe_load(CATALOGUE.read_text())
    return {
        name: Case(id=name, **values) for cases in areas.values() for name, values in cases.items()
    }
