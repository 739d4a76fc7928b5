"""The locks of extras: what they pin, and whether that is installed."""

from __future__ import annotations

from importlib.metadata import version
from pathlib import Path

import pytest

from include.retraining.config.extras import (
    check_installed,
    extra_names,
    missing_libraries,
    own_pins,
    pins,
    read_extra,
)
from include.retraining.exceptions import ConfigError
from tests.support.extras import lock

pytest_plugins = ("tests.support.extras_fixtures",)


def test_pins_are_those_of_this_platform_and_python() -> None:
    """A pin with a marker counts where the marker holds; names are compared as indexes do."""
    text = (
        "# a comment\n--extra-index-url https://example.org/simple\n"
        "Light_GBM==4.6.0 \\\n    --hash=sha256:00\n    # via x\n"
        "here[all]==1.0 ; python_full_version >= '3.11' \\\n"
        "elsewhere==2.0 ; sys_platform == 'plan9' \\\n"
        "plain==3.0.post1\n"
    )
    assert pins(text.encode()) == {"light-gbm": "4.6.0", "here": "1.0", "plain": "3.0.post1"}


def test_an_extra_adds_what_not_every_model_has(extras_folder: Path) -> None:
    """Common libraries that a lock repeats are in every fingerprint already."""
    (extras_folder / "trees.txt").write_text(lock("growing==1.0", f"numpy=={version('numpy')}"))
    assert own_pins("trees") == {"growing": "1.0"}
    assert extra_names() == ["trees"]


def test_an_extra_without_a_lock_is_told_with_those_there_are(extras_folder: Path) -> None:
    """And with the command that makes it."""
    with pytest.raises(ConfigError, match=r"missing \(there are: none\): `make extra NAME=trees`"):
        read_extra("trees")
    (extras_folder / "oaks.txt").write_text("")
    with pytest.raises(ConfigError, match=r"include/extras/trees\.txt is missing .*: oaks\)"):
        read_extra("trees")


def test_what_is_installed_otherwise_than_locked_is_told(extras_folder: Path) -> None:
    """A library that is missing, and one of another version, with the command that helps."""
    (extras_folder / "trees.txt").write_text(lock("no-such-library==1.0", "pytest==0.1"))
    with pytest.raises(ConfigError) as caught:
        check_installed(["trees"])
    assert str(caught.value) == (
        "training.extras: trees: no-such-library 1.0 is not installed here, pytest is "
        f"{version('pytest')} here and 0.1 in its lock: run `make extra NAME=trees` on a worker, "
        "or build the image again from this commit (docs/extras.md)"
    )
    (extras_folder / "trees.txt").write_text(lock(f"pytest=={version('pytest')}"))
    check_installed(["trees"])


def test_a_library_of_any_version_is_not_missing() -> None:
    """A version of a model may be loaded by a newer library than it was trained with."""
    assert missing_libraries(["pytest==0.1", "no-such-library==1.0"]) == ["no-such-library==1.0"]
