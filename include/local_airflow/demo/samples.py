"""Land the sample deliveries, as a producer would: the data first, the flag last.

The content never changes, so that landing again gives the same bytes under a new flag.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime

from include.retraining.config.model import MODELS_FOLDER
from include.retraining.store.object_store import Store

FLAG = "ready.flag"


def loan_approval() -> bytes:
    """Return the loan applications as CSV; the key is the row's number."""
    header, *rows = (MODELS_FOLDER / "loan_approval.csv").read_text(encoding="utf-8").splitlines()
    numbered = (f"{number},{row}" for number, row in enumerate(rows))
    return "\n".join([f"application_id,{header}", *numbered, ""]).encode()


def diabetes_progression() -> bytes:
    """Return scikit-learn's diabetes data as CSV; the key is the row's number."""
    from sklearn.datasets import load_diabetes

    frame = load_diabetes(as_frame=True, scaled=False).frame
    frame = frame.rename(columns={"target": "progression"})
    return bytes(frame.to_csv(index_label="patient_id", lineterminator="\n").encode())


def new_patients() -> bytes:
    """Return a third of the same patients as CSV under new numbers, and without their label."""
    from sklearn.datasets import load_diabetes

    frame = load_diabetes(as_frame=True, scaled=False).frame.drop(columns="target").iloc[::3]
    frame.index += 10_000
    return bytes(frame.to_csv(index_label="patient_id", lineterminator="\n").encode())


SAMPLES: dict[str, tuple[str, Callable[[], bytes]]] = {
    "diabetes_progression": ("patients.csv", diabetes_progression),
    "loan_approval": ("applications.csv", loan_approval),
}
"""Per model, its data file's name and what makes its content."""

INPUTS: dict[str, tuple[str, Callable[[], bytes]]] = {
    "diabetes_progression": ("new_patients.csv", new_patients),
}
"""The same of the rows that a model's champion scores."""


def land(store: Store, model: str) -> str:
    """Write one model's sample delivery and then its flag.

    Returns:
        The key of the flag.
    """
    return _land(store, f"landing/{model}", *SAMPLES[model])


def land_input(store: Store, model: str) -> str:
    """Write the rows that a model's champion is to score, and then their flag; return its key."""
    return _land(store, f"landing/{model}_new", *INPUTS[model])


def _land(store: Store, folder: str, file: str, make: Callable[[], bytes]) -> str:
    store.write(f"{folder}/{file}", make())
    return raise_flag(store, folder)


def land_once(store: Store, model: str) -> str:
    """Write one model's sample delivery unless its flag is there, and return the flag's key."""
    flag = f"landing/{model}/{FLAG}"
    return flag if store.exists(flag) else land(store, model)


def land_input_once(store: Store, model: str) -> str:
    """Write the rows to score unless their flag is there, and return the flag's key."""
    flag = f"landing/{model}_new/{FLAG}"
    return flag if store.exists(flag) else land_input(store, model)


def raise_flag(store: Store, folder: str) -> str:
    """Rewrite a folder's flag and return its key.

    Its content differs each time: on S3 a flag's identity is its ETag, which is its content's.
    """
    key = f"{folder}/{FLAG}"
    # obstore writes under another name and renames, so no reader ever sees half a flag.
    store.write(key, f"{datetime.now(UTC).isoformat()}\n".encode())
    return key
