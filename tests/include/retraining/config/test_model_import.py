"""A model is imported as its file is now."""

from __future__ import annotations

import importlib.util
import os
import py_compile
import sys
from pathlib import Path

import pytest

import include.models
from include.retraining.config.model_import import import_model


@pytest.fixture
def models(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of models that is searched too."""
    monkeypatch.setattr(include.models, "__path__", [*include.models.__path__, str(tmp_path)])
    return tmp_path


def write_at(path: Path, text: str, *, second: int) -> None:
    """Write a file as if it had been changed at a time."""
    path.write_text(text)
    os.utime(path, (second, second))


def answer_of_model() -> object:
    """Import the model anew, as another process would, and return what its file defines."""
    for name in ("apples_by_helper", "apple_helpers", "apple_helpers.deeper"):
        sys.modules.pop(f"include.models.{name}", None)
    return import_model("apples_by_helper").ANSWER


def test_an_edit_of_equal_length_in_the_same_second_is_imported(models: Path) -> None:
    """A model's file, and a module in a package beside it, are never taken from bytecode."""
    package = models / "apple_helpers"
    package.mkdir()
    (package / "__init__.py").write_text("")
    text = "from include.models.apple_helpers.deeper import KIND\nANSWER = KIND, 'int'\n"
    model, helper = models / "apples_by_helper.py", package / "deeper.py"
    write_at(model, text, second=1_700_000_000)
    write_at(helper, "KIND = 'old'\n", second=1_700_000_000)
    for path in (model, helper):
        py_compile.compile(str(path), doraise=True)
        assert Path(importlib.util.cache_from_source(str(path))).exists()
    assert answer_of_model() == ("old", "int")
    write_at(model, text.replace("int", "str"), second=1_700_000_000)
    write_at(helper, "KIND = 'new'\n", second=1_700_000_000)
    assert answer_of_model() == ("new", "str")


def test_a_helper_beside_the_folder_of_models_is_imported_as_it_is_now(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a model imports from `include/` itself is never taken from bytecode either."""
    monkeypatch.setattr(include, "__path__", [*include.__path__, str(tmp_path)])
    models, helper = tmp_path / "models", tmp_path / "apples_shared.py"
    models.mkdir()
    monkeypatch.setattr(include.models, "__path__", [*include.models.__path__, str(models)])
    (models / "apples_by_helper.py").write_text(
        "from include.apples_shared import KIND as ANSWER\n"
    )
    for kind in ("old", "new"):
        write_at(helper, f"KIND = '{kind}'\n", second=1_700_000_000)
        if kind == "old":
            py_compile.compile(str(helper), doraise=True)
        sys.modules.pop("include.apples_shared", None)
        assert answer_of_model() == kind
