"""The code around the training: the DAG files, and what they are wired with.

It decides which task follows which and what is promoted, so a promotion compares it as well. It
cannot change a model: it is no part of the fingerprint, and no image needs to carry it.
"""

from __future__ import annotations

from pathlib import Path

from include.retraining.documents import canonical_json, sha256_of
from include.retraining.exceptions import CodeChanged
from include.retraining.fingerprint.pinned import Code

ROOT = Path(__file__).parents[3]
FOLDERS = ("dags", "include/orchestration")


def wiring_digest() -> str | None:
    """Return the SHA-256 over `dags/` and `include/orchestration/`; None where neither is."""
    files = [path for folder in FOLDERS for path in (ROOT / folder).rglob("*.py")]
    digests = sorted((p.relative_to(ROOT).as_posix(), sha256_of(p.read_bytes())) for p in files)
    return sha256_of(canonical_json(digests)) if digests else None


def check_same_wiring(planned: Code) -> None:
    """Refuse to promote with other wiring than a run was planned with.

    Args:
        planned: what the run pinned; one of before this was pinned is not compared.

    Raises:
        CodeChanged: when it differs.
    """
    if planned.wiring_digest not in {None, wiring_digest()}:
        raise CodeChanged(
            f"dags/ or include/orchestration/ changed since the run was planned (commit "
            f"{planned.git_sha or 'unknown'}): clear the run from plan_run on, so that it is "
            "planned again; what was trained stays"
        )
