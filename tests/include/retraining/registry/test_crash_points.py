"""Killed anywhere, on a full disk, or with an S3 that misbehaves: the registry stays sound."""

from __future__ import annotations

import shutil
import subprocess
import sys
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from include.retraining.decisions.evidence import judge_evidence
from include.retraining.decisions.record import DecisionRecord, Outcome
from include.retraining.decisions.records import consumed_flag
from include.retraining.exceptions import RegistryError, RetrainingError, StorageError
from include.retraining.notifications.decision_notice import event_of, notice_key
from include.retraining.notifications.notice import Notice
from include.retraining.notifications.outbox import deliver_waiting
from include.retraining.registry.promotion import Registry
from include.retraining.registry.promotion_log import PromotionLog
from include.retraining.runs.reference import RunRef
from include.retraining.steps.close_run import close_run
from include.retraining.steps.decide import abort, check_quality, deploy
from include.retraining.store import layout
from include.retraining.store.marker import initialise
from include.retraining.store.object_store import Store
from tests.support.crash_points import (
    PROCESSES,
    count_points,
    import_before_forks,
    kill_at,
    litter,
)
from tests.support.invariants import check_invariants, reading
from tests.support.run_factory import FLAG_URI, MODEL, decide, plant_run, run_ref, version_name
from tests.support.s3_proxy import Fault, Proxy, s3_proxy

import_before_forks(__name__)

ROOT = Path(__file__).parents[4]


def judge_and_deploy(store: Store) -> None:
    """What the tasks after the jobs do."""
    check_quality(store, run_ref(2))
    deploy(store, run_ref(2), actor="dag")


def judge_and_refuse(store: Store) -> None:
    """What they do when the gate says no."""
    check_quality(store, run_ref(2))
    abort(store, run_ref(2))


def roll_back(store: Store) -> None:
    """What a person does who wants the first version back."""
    Registry(store, MODEL).rollback(version_name(1), actor="ann", reason="back")


def close_as_failed(store: Store) -> None:
    """What a callback does."""
    close_run(store, run_ref(2), Outcome.FAILED, "killed")


def correct(store: Store) -> None:
    """What a callback does after the log moved under a run that was recorded as failed."""
    close_run(store, run_ref(2), Outcome.CANCELLED, "again")


def _promoted_two(store: Store) -> None:
    for day in (1, 2):
        decide(store, plant_run(store, day))


def _promoted_one(store: Store) -> None:
    decide(store, plant_run(store, 1))
    plant_run(store, 2)


def _promoted_one_and_a_bad_one(store: Store) -> None:
    decide(store, plant_run(store, 1))
    plant_run(store, 2, report={"baseline.metrics.accuracy": 0.9})


def _promoted_behind_a_record(store: Store) -> None:
    """A run that is recorded as failed and promoted all the same."""
    _promoted_one(store)
    close_as_failed(store)
    verdict = check_quality(store, run_ref(2))
    evidence = judge_evidence(store, run_ref(2))
    Registry(store, MODEL).promote(
        manifest=evidence.manifest,
        verdict=verdict,
        report=evidence.report,
        actor="late",
        reason="late",
    )


# What was there before, the flow that is killed, what is done afterwards, and where that must lead:
# the head of the log and the outcome of the second run.
FLOWS: dict[str, tuple[Callable[..., None], Any, list[Any], int | None, set[str]]] = {
    "deploy, tried again": (_promoted_one, judge_and_deploy, [judge_and_deploy], 2, {"promoted"}),
    "deploy, then only closed": (
        _promoted_one,
        judge_and_deploy,
        [close_as_failed],
        None,
        {"promoted", "failed"},
    ),
    "deploy, closed, then tried again": (
        _promoted_one,
        judge_and_deploy,
        [close_as_failed, judge_and_deploy],
        None,
        {"promoted", "failed"},
    ),
    "refusal, tried again": (
        _promoted_one_and_a_bad_one,
        judge_and_refuse,
        [judge_and_refuse],
        1,
        {"rejected"},
    ),
    "close, then closed again": (
        _promoted_one,
        close_as_failed,
        [close_as_failed],
        1,
        {"failed"},
    ),
    "correction, then closed again": (
        _promoted_behind_a_record,
        correct,
        [close_as_failed],
        2,
        {"promoted"},
    ),
    "rollback, tried again": (_promoted_two, roll_back, [roll_back], 3, {"promoted"}),
}


@pytest.fixture
def make_store(any_store: Store, tmp_path: Path) -> Callable[[], Store]:
    """Return fresh initialised stores, on a folder and on S3."""

    def make() -> Store:
        return initialise(f"{any_store.uri}/{uuid.uuid4().hex[:8]}", any_store.options)

    return make


def told_of(store: Store, run: RunRef) -> list[str]:
    """Send what waits in the outbox, and return the names of what was told of a run."""
    told: list[Notice] = []
    deliver_waiting(store, told.append)
    assert all(notice.text for notice in told)
    return [notice.key for notice in told if run.paths.run in notice.key]


def key_of(record: DecisionRecord) -> str:
    """Return the name of the message about a decision."""
    return notice_key(record, str(event_of(record.outcome)))


@pytest.mark.fault("A10", "G02", "G13", "H01", "N01")
@pytest.mark.parametrize(
    "any_store", ["folder", pytest.param("s3", marks=pytest.mark.slow)], indirect=True
)
@pytest.mark.parametrize("name", FLOWS)
def test_killed_at_every_point(
    name: str, make_store: Callable[[], Store], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Killed before or after any write or flush, and repeated, each flow ends well (G02, N01).

    What was decided in the end is told, once, whoever was killed; nothing else is (H01).
    """
    prepare, flow, recovery, head, outcomes = FLOWS[name]
    # The test's own process is not killed and need not wait for the disk.
    monkeypatch.setattr("os.fsync", lambda descriptor: None)
    store = make_store()
    prepare(store)
    prepared = {info.key: store.read(info.key) for info in store.objects()}
    points = count_points(flow, store)
    assert points >= 1
    for at, is_after in [*((point, False) for point in range(1, points + 1)), (points, True)]:
        store = make_store()
        for key, data in prepared.items():
            store.write(key, data)
        kill_at(flow, store, at, is_after=is_after)
        PromotionLog(store, MODEL).champion()  # a reader in between sees a whole entry (V9)
        if not store.exists(run_ref(2).paths.decision(0)):  # the next run finds the flag new
            assert consumed_flag(store, MODEL, FLAG_URI, for_run="next") == "identity 1"
        for step in recovery:
            step(store)
        check_invariants(store, MODEL, ended=[run_ref(1), run_ref(2)])
        where = f"{name}: killed {'after' if is_after else 'before'} point {at} of {points}"
        record = close_run(store, run_ref(2), Outcome.CANCELLED, "only to read it")
        assert record.outcome.value in outcomes, where
        assert head in {None, PromotionLog(store, MODEL).head()}, where
        expected = 2 if record.outcome is Outcome.PROMOTED else 1
        assert head is not None or PromotionLog(store, MODEL).head() == expected, where
        assert told_of(store, run_ref(2)) == [key_of(record)], where
        assert told_of(store, run_ref(2)) == [], where


@pytest.mark.fault("G13")
def test_half_written_files_are_never_read(folder_store: Store) -> None:
    """What a writer that was killed left beside an entry is no entry and in nobody's way."""
    store = initialise(folder_store.uri, {})
    _promoted_one(store)
    promotions = store.local_path(f"models/{MODEL}/promotions")
    assert promotions is not None
    for name in ("00000002.json#1", "00000002.json#2", "00000003.json#1"):
        (promotions / name).write_bytes(b'{"half": ')
    assert PromotionLog(store, MODEL).head() == 1
    judge_and_deploy(store)
    check_invariants(store, MODEL, ended=[run_ref(1), run_ref(2)])
    assert PromotionLog(store, MODEL).head() == 2


FULL_DISK = """
import sys
from pathlib import Path
from include.retraining.decisions.record import Outcome
from include.retraining.exceptions import StorageError
from include.retraining.registry.promotion_log import PromotionLog
from include.retraining.steps.decide import check_quality, deploy
from include.retraining.store.marker import initialise
from tests.support.crash_points import litter
from tests.support.invariants import check_invariants, reading
from tests.support.run_factory import FLAG_URI, MODEL, decide, plant_run

folder = Path(sys.argv[1])
store = initialise(f"file://{folder}/store", {})
decide(store, plant_run(store, 1))
run = plant_run(store, 2)
check_quality(store, run)
junk = folder / "junk"
with junk.open("wb", buffering=0) as file:
    try:
        while file.write(b"x" * 4096):
            pass
    except OSError:
        pass
try:
    deploy(store, run, actor="dag")
except StorageError as error:
    print("refused:", error)
assert PromotionLog(store, MODEL).head() == 1
assert litter(store) == [], litter(store)
junk.unlink()
assert deploy(store, run, actor="dag").outcome is Outcome.PROMOTED
check_invariants(store, MODEL, ended=[run])
print("sound")
"""


@pytest.mark.fault("G13")
def test_a_full_disk(tmp_path: Path) -> None:
    """On a full disk a promotion is refused whole, and succeeds once there is space (G13)."""
    unshare = shutil.which("unshare")
    if unshare is None or subprocess.run([unshare, "-rm", "true"], check=False).returncode != 0:
        pytest.skip("mount namespaces are not permitted here (unshare -rm)")
    script = tmp_path / "script.py"
    script.write_text(FULL_DISK)
    mount = tmp_path / "mount"
    mount.mkdir()
    command = (
        'mount -t tmpfs -o size=1m tmpfs "$1" && exec "$2" "$3" "$1"'  # in a namespace of its own
    )
    found = subprocess.run(
        [unshare, "-rm", "sh", "-c", command, "sh", str(mount), sys.executable, str(script)],
        check=False,
        capture_output=True,
        text=True,
        cwd=ROOT,
        env={"PYTHONPATH": str(ROOT), "PATH": "/usr/bin:/bin"},
    )
    assert found.returncode == 0, found.stderr
    assert "refused: file://" in found.stdout
    assert "No space left on device" in found.stdout
    assert found.stdout.endswith("sound\n")


# Several processes.


def _contend(uri: str, options: dict[str, str], name: str, rounds: int, sender: Any) -> None:
    registry = Registry(Store(uri, options), MODEL)
    entry = registry.log.champion()
    assert entry is not None
    won = 0
    for generation in range(2, rounds + 2):
        changes = {"generation": generation, "nonce": f"{name}-{generation}"}
        won += registry.append(entry.model_copy(update=changes)) is not None
    sender.send(won)


@pytest.mark.fault("G01")
def test_eight_processes_on_a_folder(folder_store: Store) -> None:
    """Of eight processes that append 60 entries each, one wins each generation (G01)."""
    store = initialise(folder_store.uri, {})
    decide(store, plant_run(store, 1))
    receiver, sender = PROCESSES.Pipe(duplex=False)
    processes = [
        PROCESSES.Process(target=_contend, args=(store.uri, {}, str(name), 60, sender))
        for name in range(8)
    ]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    assert [process.exitcode for process in processes] == [0] * 8
    assert sum(receiver.recv() for _ in processes) == 60
    assert len(PromotionLog(store, MODEL).history()) == 61
    assert litter(store) == []


# An S3 that misbehaves.


@pytest.fixture
def proxy(s3_endpoint: str) -> Iterator[Proxy]:
    """A proxy before the S3 server that can be told to fail."""
    with s3_proxy(s3_endpoint) as running:
        yield running


@pytest.fixture
def store(proxy: Proxy, s3_bucket: str, s3_options: dict[str, str]) -> Store:
    """A store behind the proxy, with one promoted and one waiting run."""
    made = initialise(f"s3://{s3_bucket}/prefix", proxy.options(s3_options))
    _promoted_one(made)
    check_quality(made, run_ref(2))
    return made


ENTRY = "promotions/00000002.json"


def _puts(proxy: Proxy) -> int:
    return sum(method == "PUT" and ENTRY in address for method, address in proxy.requests)


@pytest.mark.fault("G03")
@pytest.mark.parametrize("action", ["drop before", "drop after", 500, 503])
def test_one_bad_answer_is_survived(store: Store, proxy: Proxy, action: Any) -> None:
    """A lost request, a lost response or a passing error leads to one entry (G03)."""
    proxy.faults = [Fault("PUT", ENTRY, action)]
    record = deploy(store, run_ref(2), actor="dag")
    assert record.outcome is Outcome.PROMOTED
    assert _puts(proxy) == 2
    assert PromotionLog(store, MODEL).head() == 2
    check_invariants(store, MODEL, ended=[run_ref(1), run_ref(2)])


def test_a_conflict_leads_to_one_entry(store: Store, proxy: Proxy) -> None:
    """When S3 asks to try again because another request was in progress, that does no harm."""
    proxy.faults = [Fault("PUT", ENTRY, 409)]
    try:
        record = deploy(store, run_ref(2), actor="dag")
    except StorageError:
        record = deploy(store, run_ref(2), actor="dag")
    assert record.outcome is Outcome.PROMOTED
    assert PromotionLog(store, MODEL).head() == 2
    check_invariants(store, MODEL, ended=[run_ref(1), run_ref(2)])


def test_a_lost_response_to_the_record(store: Store, proxy: Proxy) -> None:
    """A record whose response is lost is written once."""
    proxy.faults = [Fault("PUT", "/decisions/", "drop after")]
    assert deploy(store, run_ref(2), actor="dag").outcome is Outcome.PROMOTED
    check_invariants(store, MODEL, ended=[run_ref(1), run_ref(2)])


@pytest.mark.fault("G12")
def test_a_lost_right_to_promote(store: Store, proxy: Proxy) -> None:
    """When the role may not write the log the error says so, and the version serves later (G12)."""
    proxy.faults = [Fault("PUT", ENTRY, 403, times=None)]
    with pytest.raises(StorageError, match=rf"{ENTRY}: the store denied access"):
        deploy(store, run_ref(2), actor="dag")
    assert PromotionLog(store, MODEL).head() == 1
    proxy.faults = []
    assert deploy(store, run_ref(2), actor="dag").outcome is Outcome.PROMOTED
    check_invariants(store, MODEL, ended=[run_ref(1), run_ref(2)])


@pytest.mark.fault("N04")
def test_a_lost_right_to_record(store: Store, proxy: Proxy) -> None:
    """A promotion whose record is refused is recorded as promoted by whoever closes it (N04)."""
    proxy.faults = [Fault("PUT", "/decisions/", 403, times=None)]
    with pytest.raises(StorageError):
        deploy(store, run_ref(2), actor="dag")
    proxy.faults = []
    record = close_run(store, run_ref(2), Outcome.FAILED, "the record was refused")
    assert record.outcome is Outcome.PROMOTED
    check_invariants(store, MODEL, ended=[run_ref(1), run_ref(2)])


@pytest.mark.fault("N04")
@pytest.mark.parametrize("status", [403, 503])
def test_a_store_that_takes_nothing_takes_no_promotion(
    store: Store, proxy: Proxy, status: int
) -> None:
    """Nothing serves that is written down nowhere; once the store answers, the run goes on."""
    proxy.faults = [Fault("PUT", "", status, times=None)]
    with pytest.raises(StorageError):
        deploy(store, run_ref(2), actor="dag")
    proxy.faults = []
    assert PromotionLog(store, MODEL).head() == 1
    assert deploy(store, run_ref(2), actor="dag").outcome is Outcome.PROMOTED
    check_invariants(store, MODEL, ended=[run_ref(1), run_ref(2)])


@pytest.mark.fault("F08")
@pytest.mark.parametrize(
    ("method", "address", "status"),
    [("GET", "list-type", 403), ("GET", "promotions/00000001.json", 403)],
)
def test_what_cannot_be_read_is_never_no_champion(
    store: Store, proxy: Proxy, method: str, address: str, status: int
) -> None:
    """A log that may not be listed or read is an error (F08)."""
    proxy.faults = [Fault(method, address, status, times=None)]
    registry = Registry(store, MODEL)
    for read in (registry.log.champion, registry.log.serving, registry.log.history):
        with pytest.raises(StorageError, match="denied access"):
            read()
    with pytest.raises(StorageError):
        deploy(store, run_ref(2), actor="dag")
    proxy.faults = []
    assert registry.log.head() == 1


def test_an_entry_that_is_listed_and_missing(store: Store, proxy: Proxy) -> None:
    """An entry that is listed and cannot be found is an error, never the one before."""
    proxy.faults = [Fault("GET", "promotions/00000001.json", 404, times=None)]
    with pytest.raises(RegistryError, match=r"00000001\.json is missing"):
        PromotionLog(store, MODEL).champion()


@pytest.mark.fault("G05")
def test_a_precondition_that_failed_is_not_tried_again(store: Store, proxy: Proxy) -> None:
    """When the number is said to be taken there is no second try (G05)."""
    proxy.faults = [Fault("PUT", ENTRY, 412, times=None)]
    with pytest.raises(RetrainingError):
        deploy(store, run_ref(2), actor="dag")
    assert _puts(proxy) == 1
    assert PromotionLog(store, MODEL).head() == 1


def test_a_flipped_byte_is_never_a_promotion(store: Store, proxy: Proxy) -> None:
    """An entry that arrives altered is an error at once and for every reader."""
    proxy.faults = [Fault("PUT", ENTRY, "flip")]
    with pytest.raises(RegistryError, match="cannot be read back"):
        deploy(store, run_ref(2), actor="dag")
    assert not store.exists(run_ref(2).paths.decision(0))


def test_a_reader_that_loops_sees_only_whole_versions(store: Store) -> None:
    """While a version is promoted a reader sees the old one or the new one, and never back (V9)."""
    with reading(store, MODEL) as seen:
        deploy(store, run_ref(2), actor="dag")
        roll_back(store)
    assert set(seen) <= {1, 2, 3}
    assert store.exists(layout.promotion_key(MODEL, 3))
