"""The champion as a server has it: loaded once, followed, and refused when nobody can know it."""

from __future__ import annotations

import os
import re
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pandas as pd
import pytest
import skops.io
from sklearn.preprocessing import FunctionTransformer

from include.retraining.exceptions import (
    ArtifactError,
    ConfigError,
    InfrastructureError,
    MissingFolder,
    NotFound,
    RegistryError,
    StorageError,
    StoreNotInitialised,
)
from include.retraining.registry import versions
from include.retraining.registry.promotion import Registry
from include.retraining.serving import champion as champion_module
from include.retraining.serving import forked
from include.retraining.serving.champion import load_champion
from include.retraining.serving.version import LoadedVersion, load_version
from include.retraining.store.layout import promotion_key, version_manifest_key
from include.retraining.store.object_store import Store
from tests.support.counting_store import CountingStore
from tests.support.promotions import promote
from tests.support.run_factory import MODEL, plant_run, saved_model, version_name

AT_ONCE = timedelta(0)
NEVER = timedelta(days=1)
ROWS = pd.DataFrame({"x": [0.0, 1.0, 2.0]}, index=[7, 8, 9])


def promoted(store: Store, *days: int) -> None:
    """Promote the versions of some days, which load and predict."""
    for day in days:
        promote(store, plant_run(store, day, model_bytes=saved_model()))


def champion_of(store: Store, *, stale_after: timedelta | None = NEVER) -> LoadedVersion:
    """Read the log in this call."""
    return load_champion(store, MODEL, stale_after=stale_after, check_every=AT_ONCE, trusted=())


@pytest.fixture
def served(folder: Store) -> CountingStore:
    """A store with one promoted version, which counts its requests."""
    promoted(folder, 1)
    return CountingStore(folder.uri)


def flip(store: Store, key: str) -> bytes:
    """Change one byte of an object, and return what it held."""
    data = store.read(key)
    store.write(key, bytes([*data[:-3], data[-3] ^ 1, *data[-2:]]))
    return data


def test_the_champion_says_what_it_is_and_predicts(store: Store) -> None:
    """Version, generation, features and classes, and one prediction for each row, in place."""
    promoted(store, 1)
    champion = champion_of(store)
    assert (champion.version, champion.generation) == (version_name(1), 1)
    assert (champion.features, champion.classes) == (("x",), (0, 1))
    assert champion.stale_because is None
    answers = champion.predict(ROWS)
    assert list(answers) == ["prediction", "probability_0", "probability_1"]
    assert answers.index.tolist() == [7, 8, 9]
    assert (answers["probability_0"] + answers["probability_1"]).tolist() == [1, 1, 1]


@pytest.mark.fault("V02")
def test_a_promotion_and_a_rollback_are_followed(served: Store) -> None:
    """The next call that reads the log returns what the log says."""
    held = champion_of(served)
    answers = held.predict(ROWS)
    assert held.generation == 1
    promoted(served, 2)
    assert (champion_of(served).version, champion_of(served).generation) == (version_name(2), 2)
    Registry(served, MODEL).rollback(version_name(1), actor="ops", reason="complaints")
    assert (champion_of(served).version, champion_of(served).generation) == (version_name(1), 3)
    assert (held.version, held.generation) == (version_name(1), 1)
    assert held.predict(ROWS).equals(answers)


def test_an_entry_that_names_the_same_version_loads_nothing(served: CountingStore) -> None:
    """What is loaded is kept by its digest: a release changes the generation only."""
    promoted(served, 2)
    Registry(served, MODEL).rollback(version_name(1), actor="ops", reason="complaints")
    first = champion_of(served)
    Registry(served, MODEL).release(actor="ops", reason="solved")
    served.counts.clear()
    second = champion_of(served)
    assert (first.generation, second.generation) == (3, 4)
    assert second.model is first.model
    assert served.counts == {"LIST": 1, "GET": 2}


def test_a_call_between_two_readings_asks_the_store_nothing(served: CountingStore) -> None:
    """A request costs no request."""
    first = load_champion(served, MODEL, check_every=NEVER, trusted=())
    served.counts.clear()
    assert load_champion(served, MODEL, check_every=NEVER, trusted=()) is first
    assert served.total == 0


def test_many_threads_load_it_once(served: CountingStore) -> None:
    """Requests that come together wait for one loading, and have the same model."""
    together = threading.Barrier(16)

    def ask(_: int) -> LoadedVersion:
        together.wait()
        return load_champion(served, MODEL, check_every=NEVER, trusted=())

    with ThreadPoolExecutor(16) as pool:
        loaded = list(pool.map(ask, range(16)))
    assert len({id(one.model) for one in loaded}) == 1
    assert served.counts["GET"] == 3  # the entry, the manifest, the model


def test_an_address_is_opened_as_a_store(served: Store) -> None:
    """Who serves names an address, and the environment gives the options."""
    champion = load_champion(served.uri, MODEL, check_every=NEVER, trusted=())
    assert champion.version == version_name(1)


@pytest.mark.fault("V07")
def test_a_fork_of_a_process_that_read_is_refused(
    served: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The store's threads are not in it, so it would wait for ever."""
    champion_of(served)
    parent = os.getpid()
    monkeypatch.setattr(champion_module, "getpid", lambda: parent + 1)
    monkeypatch.setattr(forked, "getpid", lambda: parent + 1)
    for _ in range(2):
        with pytest.raises(InfrastructureError, match="load it after the fork only"):
            champion_of(served)
        with pytest.raises(InfrastructureError, match="load it after the fork only"):
            load_version(served, MODEL, version_name(1), trusted=())


@pytest.mark.fault("V07")
def test_so_is_one_of_a_process_that_loaded_a_given_version(
    served: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It read the store, too."""
    monkeypatch.setattr(forked, "_readers", set())
    load_version(served, MODEL, version_name(1), trusted=())
    parent = os.getpid()
    monkeypatch.setattr(champion_module, "getpid", lambda: parent + 1)
    monkeypatch.setattr(forked, "getpid", lambda: parent + 1)
    with pytest.raises(InfrastructureError, match="load it after the fork only"):
        champion_of(served)


def test_stores_of_one_address_with_other_options_are_read_apart(served: CountingStore) -> None:
    """Who may read the one may not be who may read the other."""
    load_champion(served, MODEL, check_every=NEVER, trusted=())
    other = CountingStore(served.uri, {"AWS_REGION": "eu-central-1"})
    load_champion(other, MODEL, check_every=NEVER, trusted=())
    assert other.counts["GET"] == 3
    again = CountingStore(served.uri, {"AWS_REGION": "eu-central-1"})
    load_champion(again, MODEL, check_every=NEVER, trusted=())
    assert again.total == 0


def break_entry(store: Store) -> Callable[[], None]:
    """Damage the newest entry of the log."""
    key = promotion_key(MODEL, 2)
    data = flip(store, key)
    return lambda: store.write(key, data)


def break_numbering(store: Store) -> Callable[[], None]:
    """Take an entry out of the log."""
    key = promotion_key(MODEL, 1)
    data = store.read(key)
    store.delete(key)
    return lambda: store.write(key, data)


def break_manifest(store: Store) -> Callable[[], None]:
    """Damage the manifest of the version that was promoted last."""
    key = version_manifest_key(MODEL, version_name(2))
    data = flip(store, key)
    return lambda: store.write(key, data)


def break_model(store: Store) -> Callable[[], None]:
    """Damage its file."""
    key = f"models/{MODEL}/versions/{version_name(2)}/0-1/model.skops"
    data = flip(store, key)
    return lambda: store.write(key, data)


def lose_model(store: Store) -> Callable[[], None]:
    """Remove its file."""
    key = f"models/{MODEL}/versions/{version_name(2)}/0-1/model.skops"
    data = store.read(key)
    store.delete(key)
    return lambda: store.write(key, data)


def unmount(store: Store) -> Callable[[], None]:
    """Leave an empty folder where the store was, as a disk does that is not mounted."""
    place = store.local_path("")
    assert place is not None
    away = place.with_name("away")
    place.rename(away)
    place.mkdir()

    def mount() -> None:
        place.rmdir()
        away.rename(place)

    return mount


TROUBLE = {
    unmount: (StoreNotInitialised, "is not a store"),
    lose_model: (ArtifactError, "missing"),
    break_entry: (RegistryError, "the promotion log is not readable"),
    break_numbering: (RegistryError, "the log's numbering is broken here"),
    break_manifest: (ArtifactError, "altered"),
    break_model: (ArtifactError, "altered"),
}


@pytest.mark.fault("V01")
@pytest.mark.parametrize("trouble", TROUBLE)
def test_what_cannot_be_read_is_never_loaded(
    folder: Store, trouble: Callable[[Store], Callable[[], None]]
) -> None:
    """Where nothing is loaded yet, the first call says what is wrong."""
    promoted(folder, 1, 2)
    trouble(folder)
    kind, text = TROUBLE[trouble]
    with pytest.raises(kind, match=text):
        champion_of(folder, stale_after=None)


@pytest.mark.fault("V01")
@pytest.mark.parametrize("trouble", TROUBLE)
def test_the_last_good_one_is_kept_and_says_why(
    served: Store, trouble: Callable[[Store], Callable[[], None]]
) -> None:
    """With `stale_after=None` for ever, and once the trouble is over the log is followed again."""
    good = champion_of(served)
    promoted(served, 2)
    mend = trouble(served)
    for _ in range(2):
        kept = champion_of(served, stale_after=None)
        assert (kept.version, kept.generation) == (version_name(1), 1)
        assert kept.model is good.model
        assert kept.predict(ROWS).equals(good.predict(ROWS))
        assert kept.checked_at == good.checked_at
        assert TROUBLE[trouble][1] in str(kept.stale_because)
    mend()
    followed = champion_of(served, stale_after=None)
    assert (followed.version, followed.stale_because) == (version_name(2), None)


@pytest.mark.fault("V01")
@pytest.mark.parametrize("trouble", TROUBLE)
def test_or_it_is_refused(served: Store, trouble: Callable[[Store], Callable[[], None]]) -> None:
    """With `stale_after` of zero there is no champion without a log that was read for the call."""
    champion_of(served, stale_after=AT_ONCE)
    promoted(served, 2)
    mend = trouble(served)
    with pytest.raises(InfrastructureError, match=TROUBLE[trouble][1]) as caught:
        champion_of(served, stale_after=AT_ONCE)
    assert re.search(r"the champion was last known \d+ s ago, allowed are 0 s", str(caught.value))
    mend()
    assert champion_of(served, stale_after=AT_ONCE).version == version_name(2)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"stale_after": 5}, "stale_after is 5: allowed is .* or None"),
        ({"stale_after": timedelta(hours=-1)}, "stale_after is .*: allowed is .* at least 0, or N"),
        ({"check_every": None}, "check_every is None: allowed is .* at least 0$"),
        ({"check_every": timedelta(-1)}, "check_every is .*: allowed is .* at least 0$"),
    ],
)
def test_a_time_that_is_none_is_refused(served: Store, given: dict[str, Any], said: str) -> None:
    """It is said what is allowed, before anything is read."""
    with pytest.raises(ConfigError, match=said):
        load_champion(served, MODEL, trusted=(), **given)


def test_with_stale_after_of_zero_each_call_reads_and_waits(
    served: Store, silent: Silent, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After a reading that failed too: whoever asks next gets what is there by then."""
    monkeypatch.setattr(champion_module, "MAX_WAIT_SECONDS", 0.0)

    def at_once() -> LoadedVersion:
        return load_champion(silent, MODEL, stale_after=AT_ONCE, check_every=NEVER, trusted=())

    at_once()
    promoted(served, 2)
    mend = break_entry(served)
    with pytest.raises(InfrastructureError, match="last known"):
        at_once()
    mend()
    silent.answers.clear()
    answering = threading.Timer(0.1, silent.answers.set)
    answering.start()
    assert at_once().version == version_name(2)
    answering.join()


def test_it_is_kept_until_it_is_stale(served: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """An hour by default, counted from the reading that succeeded last."""
    clock = [1000.0]
    monkeypatch.setattr(champion_module, "monotonic", lambda: clock[0])
    load_champion(served, MODEL, trusted=())
    promoted(served, 2)
    mend = break_entry(served)
    clock[0] += 3600
    assert load_champion(served, MODEL, trusted=()).version == version_name(1)
    clock[0] += 1
    with pytest.raises(InfrastructureError, match="last known 3601 s ago, allowed are 3600 s"):
        load_champion(served, MODEL, trusted=())
    mend()
    clock[0] += 20
    assert load_champion(served, MODEL, trusted=()).version == version_name(2)


class Silent(Store):
    """A store that may stop answering."""

    def __init__(self, uri: str) -> None:
        """Answer at first."""
        super().__init__(uri)
        self.answers = threading.Event()
        self.answers.set()

    def read(self, key: str) -> bytes:
        """Read once it answers."""
        self.answers.wait()
        return super().read(key)


@pytest.fixture
def silent(served: Store) -> Iterator[Silent]:
    """A store that stops answering, and answers at the test's end."""
    store = Silent(served.uri)
    yield store
    store.answers.set()


@pytest.mark.fault("V03")
def test_a_store_that_does_not_answer_delays_no_request(
    silent: Silent, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody waits longer for a reading than `MAX_WAIT_SECONDS` from when it began."""
    monkeypatch.setattr(champion_module, "MAX_WAIT_SECONDS", 0.05)
    champion_of(silent)
    promoted(Store(silent.uri), 2)
    silent.answers.clear()
    for _ in range(100):
        assert champion_of(silent).version == version_name(1)
    silent.answers.set()
    assert champion_of(silent, stale_after=AT_ONCE).version == version_name(2)


def test_the_log_is_read_beside_the_requests(
    silent: Silent, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A call between one interval and two waits for nothing, and a later one has the answer."""
    clock = [1000.0]
    monkeypatch.setattr(champion_module, "monotonic", lambda: clock[0])
    load_champion(silent, MODEL, trusted=())
    promoted(Store(silent.uri), 2)
    silent.answers.clear()
    clock[0] += 15
    assert load_champion(silent, MODEL, trusted=()).version == version_name(1)
    silent.answers.set()
    clock[0] += 3600 * 24
    assert load_champion(silent, MODEL, trusted=()).version == version_name(2)


def test_before_the_first_promotion(folder: Store) -> None:
    """A model that was never promoted has no champion, and a wrong address is none of its store."""
    with pytest.raises(NotFound, match=f"{MODEL}: no version was promoted yet in {folder.uri}"):
        champion_of(folder)
    with pytest.raises(NotFound, match="a model's name is like loan_approval"):
        load_champion(folder, "../other", trusted=())


def test_a_wrong_address(folder_store: Store) -> None:
    """A place that is no store, or that is not there, is said to be that."""
    with pytest.raises(StoreNotInitialised, match="is not a store"):
        load_champion(folder_store.uri, MODEL, trusted=())
    with pytest.raises(MissingFolder, match="there is no such folder"):
        load_champion(f"{folder_store.uri}/elsewhere", MODEL, trusted=())
    assert issubclass(StoreNotInitialised, StorageError)


def test_a_model_without_a_yaml(served: Store) -> None:
    """What may be loaded is in the model's YAML; who has none names it with `trusted`."""
    with pytest.raises(Exception, match="toy_model"):
        load_champion(served, MODEL)


@pytest.mark.fault("M10")
def test_a_version_of_another_scikit_learn(served: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is refused before it is loaded, with both versions."""
    monkeypatch.setattr(versions, "library_version", lambda _: "1.8.0")
    with pytest.raises(
        ArtifactError, match=r"here is 1\.8\.0; a model is loaded only by the minor"
    ):
        champion_of(served)


def unreviewed_model() -> bytes:
    """A model as skops saves it, with a function that nobody reviewed."""
    return bytes(skops.io.dumps(FunctionTransformer(saved_model)))


@pytest.mark.fault("M02")
def test_a_champion_with_types_that_nobody_reviewed(served: Store) -> None:
    """It is not loaded, whatever the log says: the one before is kept, or the types are named."""
    champion_of(served)
    promote(served, plant_run(served, 2, model_bytes=unreviewed_model()))
    kept = champion_of(served)
    assert kept.version == version_name(1)
    assert "holds unreviewed types: " in str(kept.stale_because)
    with pytest.raises(InfrastructureError, match="holds unreviewed types"):
        champion_of(served, stale_after=AT_ONCE)


def test_a_first_champion_with_types_that_nobody_reviewed(folder: Store) -> None:
    """Where none is loaded there is none."""
    promote(folder, plant_run(folder, 1, model_bytes=unreviewed_model()))
    with pytest.raises(ArtifactError, match="holds unreviewed types"):
        champion_of(folder)
