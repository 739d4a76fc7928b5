"""The fingerprint: one digest of all that can change a model. The same one trains nothing."""

from __future__ import annotations

from typing import Any

from include.retraining.documents import canonical_json, sha256_of
from include.retraining.fingerprint.pinned import Code, Delivery, ForgetList


def fingerprint_of(
    *,
    delivery: Delivery,
    code: Code,
    training_view: dict[str, Any],
    seed: int,
    only_run: str | None,
    forget: ForgetList | None = None,
) -> str:
    """Return the SHA-256 of everything that can change the trained model.

    Args:
        delivery: the names and content of its files count, not its location or its flag.
        code: its training digest and the Python version count.
        training_view: `ModelConfig.training_view`.
        seed: of everything random.
        only_run: the run's id when it must train even if nothing changed, else None.
        forget: the keys whose rows it is not given; without a list, the fingerprint is what it was
            before there were lists.
    """
    content = {
        "files": [file.model_dump(mode="json") for file in delivery.files],
        "code": code.training_digest,
        "python": code.python,
        "training": training_view,
        "seed": seed,
        "run": only_run,
        **({} if forget is None else {"forget": forget.digest}),
    }
    return sha256_of(canonical_json(content))


def version_of(fingerprint: str) -> str:
    """Return the name of the version that a fingerprint leads to."""
    return fingerprint[:16]
