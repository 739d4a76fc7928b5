"""What must hold after any fault and after recovery: the invariants V1 to V10.

| | |
|---|---|
| V1 | the newest entry of the log is readable, and names a version whose files are what it says |
| V2 | generations are 1, 2, 3 …, each with one entry, and one record where a run made it |
| V3 | a run's promotion has a passing verdict on that version, against the champion before it |
| V4 | a version never changes once its manifest is written |
| V5 | at most one job at a time works on a step of one version |
| V6 | a run that ended has exactly one last record |
| V7 | what people must know of was told; twice only when a sender died or gave up in between |
| V8 | no secret is in what anybody may read |
| V9 | a reader sees whole versions only, and never an older generation after a newer one |
| V10 | the hash chain of the log verifies |

`check_invariants` asks the store for V1 to V4, V6 and V10; the others need to know more.
"""

from __future__ import annotations

import re
import threading
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from itertools import pairwise
from typing import NamedTuple

from include.retraining.decisions.record import Outcome
from include.retraining.decisions.records import decisions, find_decision
from include.retraining.documents import sha256_of
from include.retraining.history.verify import verify
from include.retraining.registry.entry import PromotionKind
from include.retraining.registry.promotion import Registry
from include.retraining.registry.promotion_log import PromotionLog
from include.retraining.registry.versions import read_version, verify_version
from include.retraining.runs.reference import RunRef
from include.retraining.store.layout import (
    OUTBOX,
    OUTBOX_SENT,
    decisions_folder,
    version_manifest_key,
)
from include.retraining.store.object_store import Store


def check_invariants(store: Store, model: str, *, ended: Iterable[RunRef] = ()) -> None:
    """Assert that a model's log, versions and records are sound and agree.

    Args:
        store: the store, after recovery.
        model: the model's name.
        ended: runs that are over, so that each must have exactly one terminal record.
    """
    registry = Registry(store, model)
    history = registry.log.history()  # V10: every entry holds the digest of the one before it
    assert [entry.generation for entry in history] == list(range(1, len(history) + 1))  # V2
    assert len({entry.nonce for entry in history}) == len(history)
    champion = registry.log.champion()  # V1
    assert champion == (history[-1] if history else None)
    assert verify(registry.store, registry.model).problems == ()
    _check_versions(store, model)  # V4
    records = list(decisions(store, model))
    _check_records(store, model, ended)  # V6
    promotions = [
        (record.serving.generation, record)
        for record in records
        if record.outcome is Outcome.PROMOTED and record.serving
    ]
    made_by_runs = [entry for entry in history if entry.kind is PromotionKind.PROMOTION]
    recorded = sorted(generation for generation, _ in promotions)
    assert recorded == [entry.generation for entry in made_by_runs]  # V2: one record each
    promoted = dict(promotions)
    for entry in made_by_runs:  # V3
        record = promoted[entry.generation]
        assert record.run_id == entry.run_id
        assert record.verdict is not None
        assert record.verdict.passed
        assert record.verdict.content_digest == entry.verdict_digest
        assert record.verdict.judged_against == entry.generation - 1
        assert record.report is not None
        assert record.report.challenger.version == entry.version
        assert sha256_of(store.read(version_manifest_key(model, entry.version))) == (
            entry.version_digest
        )


def _check_versions(store: Store, model: str) -> None:
    for version in store.children(f"models/{model}/versions")[0]:
        if store.exists(version_manifest_key(model, version)):
            verify_version(store, read_version(store, model, version))


def _check_records(store: Store, model: str, ended: Iterable[RunRef]) -> None:
    names = [info.key for info in store.children(decisions_folder(model))[1]]
    kinds = Counter(
        re.sub(r"(\.corrected)?\.json$", "", name)
        for name in names
        if not name.endswith(".corrected.json")
    )
    assert set(kinds.values()) <= {1}
    for name in names:
        if name.endswith(".corrected.json"):
            assert name.replace(".corrected", "") in names
    for run in ended:
        assert find_decision(store, run) is not None, f"{run.run_id} has no terminal record"


def version_digests(store: Store, model: str) -> dict[str, str]:
    """Return the SHA-256 of every object of each version that has its manifest."""
    folder = f"models/{model}/versions"
    return {
        info.key: sha256_of(store.read(info.key))
        for version in store.children(folder)[0]
        if store.exists(version_manifest_key(model, version))
        for info in store.objects(f"{folder}/{version}")
    }


def check_versions_unchanged(store: Store, model: str, before: Mapping[str, str]) -> None:
    """Assert V4: whatever was there at some moment is there unchanged.

    Args:
        store: the store, after recovery.
        model: the model's name.
        before: what `version_digests` returned at that moment.
    """
    now = version_digests(store, model)
    changed = sorted(key for key, digest in before.items() if now.get(key) != digest)
    assert not changed, f"V4: changed, or gone: {changed}"


class Work(NamedTuple):
    """A job that worked on a step, in seconds since the epoch."""

    step: str
    """What it worked on: the same word for two jobs of one step of one version."""
    started: float
    ended: float | None
    """None while it works."""


def check_one_live_job(jobs: Iterable[Work]) -> None:
    """Assert V5: of the jobs of one step, each ended before the next one started."""
    by_step: dict[str, list[Work]] = defaultdict(list)
    for job in sorted(jobs, key=lambda job: job.started):
        by_step[job.step].append(job)
    for step, found in by_step.items():
        for first, second in pairwise(found):
            assert first.ended is not None, f"V5: two jobs work on {step}"
            assert first.ended <= second.started, f"V5: two jobs worked on {step}"


def check_told(store: Store, model: str, messages: Iterable[str]) -> None:
    """Assert V7: every record that people must know of was told, and none too often.

    Args:
        store: with the records and the outbox.
        model: the model's name.
        messages: the texts that Slack accepted.
    """
    told = Counter(key for text in messages for key in re.findall(r"event ([\w.-]+), \d{4}-", text))
    for record in decisions(store, model):
        if record.outcome not in {Outcome.NO_CHANGE, Outcome.TOO_SOON}:
            start = f"{record.model}.{record.run}.{record.clear:03d}."
            assert any(key.startswith(start) for key in told), f"V7: {start} was never told"
    notes = [
        info.key.rpartition("/")[2]
        for folder in (OUTBOX, OUTBOX_SENT)
        for info in store.children(folder)[1]
    ]
    for key, count in told.items():
        if key.startswith(f"{model}."):
            senders = sum(note.startswith(f"{key}.claim-") for note in notes)
            assert count <= max(senders, 1), f"V7: {key} was told {count} times"


def check_no_canary(canaries: Mapping[str, str], places: Iterable[tuple[str, bytes]]) -> None:
    """Assert V8: no canary, given by its name, is in any place, given by name and content."""
    found = [
        f"{name} in {place}"  # never the canary itself: this is printed
        for place, content in places
        for name, canary in canaries.items()
        if canary.encode() in content
    ]
    assert not found, "V8: " + "\n".join(found)


@contextmanager
def reading(store: Store, model: str) -> Iterator[list[int]]:
    """Assert V9 while the body runs: a reader looks again and again, and verifies what it sees.

    Yields:
        the generations that the reader saw, in order.
    """
    seen: list[int] = []
    problems: list[BaseException] = []
    is_over = threading.Event()

    def look() -> None:
        is_last = False
        while not is_last:
            is_last = is_over.is_set()  # one look more, at what the body left
            try:
                champion = PromotionLog(store, model).champion()
                if champion is not None:
                    digest = champion.version_digest
                    verify_version(
                        store, read_version(store, model, champion.version, digest=digest)
                    )
                    seen.append(champion.generation)
            except Exception as error:  # noqa: BLE001 it is raised in the test's own thread
                problems.append(error)
                return

    reader = threading.Thread(target=look)
    reader.start()
    try:
        yield seen
    finally:
        is_over.set()
        reader.join()
    for problem in problems:
        raise problem
    assert seen == sorted(seen), "V9: a reader saw an older generation after a newer one"
