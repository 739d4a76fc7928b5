"""An extra counts for the models that name it, and for no other."""

from __future__ import annotations

from pathlib import Path

import pytest

from include.retraining.config.extras import extra_names, pins, read_extra
from include.retraining.exceptions import CodeChanged, ConfigError
from include.retraining.fingerprint.digests import (
    CORE_FOLDER,
    check_same_code,
    current_code,
    training_digest,
)
from tests.support import apples
from tests.support.extras import lock

pytest_plugins = ("tests.support.apples_fixtures", "tests.support.extras_fixtures")


def upgrade(folder: Path, version: str) -> None:
    """Let the extra `trees` be of a version."""
    (folder / "trees.txt").write_text(lock(f"growing=={version}"))


def test_an_upgrade_trains_the_models_that_name_it(apples_file: Path, extras_folder: Path) -> None:
    """Another version of the library is another training, for those and no others."""
    without = training_digest("apples")
    upgrade(extras_folder, "1.0")
    named, others = training_digest("apples", ["trees"]), training_digest("apples")
    assert others == without != named
    upgrade(extras_folder, "1.1")
    assert training_digest("apples") == without
    assert training_digest("apples", ["trees"]) != named


def test_other_hashes_of_an_extra_train_nothing(apples_file: Path, extras_folder: Path) -> None:
    """A lock counts by what it installs, as the training lock does."""
    upgrade(extras_folder, "1.0")
    named = training_digest("apples", ["trees"])
    place = extras_folder / "trees.txt"
    place.write_text(place.read_text().replace("sha256:0", "sha256:1"))
    assert training_digest("apples", ["trees"]) == named


def test_the_names_of_extras_are_no_part_of_the_training(extras_folder: Path) -> None:
    """What counts of the YAML is what it was before there were extras."""
    plain, named = apples.config(), apples.config({"training.extras": ["trees"]})
    assert "extras" not in plain.training_view["training"]
    assert plain.training_view == named.training_view


def test_what_is_pinned_names_the_libraries(apples_file: Path, extras_folder: Path) -> None:
    """A run's plan and its record say what the extras brought, and nothing without one."""
    upgrade(extras_folder, "1.0")
    assert current_code("apples").extras == ()
    (extra,) = current_code("apples", extras=["trees"]).extras
    assert (extra.name, extra.libraries) == ("trees", ("growing==1.0",))


def test_a_job_refuses_another_lock_of_an_extra(apples_file: Path, extras_folder: Path) -> None:
    """An image of another commit is told by the file that differs."""
    upgrade(extras_folder, "1.0")
    plain, planned = current_code("apples"), current_code("apples", extras=["trees"])
    check_same_code(planned, "apples")
    upgrade(extras_folder, "1.1")
    check_same_code(plain, "apples")
    with pytest.raises(
        CodeChanged, match=r"requirements\.txt or include/extras/trees\.txt changed"
    ):
        check_same_code(planned, "apples")


def test_a_run_is_not_planned_without_the_lock(apples_file: Path, extras_folder: Path) -> None:
    """An extra that was forgotten in a commit is told before anything is started."""
    with pytest.raises(ConfigError, match="`make extra NAME=trees`"):
        current_code("apples", extras=["trees"])


def test_every_extra_here_agrees_with_what_all_jobs_install() -> None:
    """`make lock` makes all locks of one resolution: none may move a library of another."""
    common = pins((CORE_FOLDER / "requirements.txt").read_bytes())
    for name in extra_names():
        own = pins(read_extra(name))
        assert {library: own[library] for library in own.keys() & common.keys()} == {
            library: common[library] for library in own.keys() & common.keys()
        }
