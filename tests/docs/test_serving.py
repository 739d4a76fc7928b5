"""docs/serving.md: its lines run as they stand there, where only the package is installed."""

from __future__ import annotations

import importlib.util
import re
import shutil
import subprocess
import sys
import tomllib
import zipfile
from collections.abc import Iterator
from importlib.metadata import distribution
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from packaging.requirements import Requirement
from starlette.testclient import TestClient

from include.local_airflow.demo.samples import diabetes_progression
from include.retraining.registry.entry import PromotionEntry
from include.retraining.serving import version
from include.retraining.store.marker import initialise
from include.retraining.store.object_store import URI_VARIABLE, Store
from tests.docs.markdown_files import ROOT
from tests.support.promoted_samples import promote_sample
from tests.test_supply_chain import uv

PAGE = ROOT / "docs" / "serving.md"
EXAMPLE = ROOT / "docs" / "example" / "serving" / "app.py"
MODEL = "diabetes_progression"
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
EXTRA = PROJECT["project"]["optional-dependencies"]["serving"]

Promoted = tuple[Store, PromotionEntry]


@pytest.fixture(scope="module")
def promoted(tmp_path_factory: pytest.TempPathFactory) -> Promoted:
    """A store in which the shipped model was promoted."""
    store = initialise(f"file://{tmp_path_factory.mktemp('store')}")
    return store, promote_sample(store, MODEL)


@pytest.fixture(scope="module")
def sources(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What `pip install` takes of the repository."""
    folder = tmp_path_factory.mktemp("sources")
    shutil.copy(ROOT / "pyproject.toml", folder)
    shutil.copytree(ROOT / "include", folder / "include", ignore=shutil.ignore_patterns("__pyc*"))
    return folder


def code_of_the_page(store: Store) -> str:
    """The page's first lines of Python, with an address of this machine."""
    (block, *_) = re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    assert block.count("\n") <= 6
    assert block.count("s3://my-models/prod") == 1
    return block.replace("s3://my-models/prod", store.uri)


def required(names: list[str]) -> Iterator[str]:
    """Return the names of packages and of all that they need, as they are installed here."""
    waiting, seen = [Requirement(name).name for name in names], set()
    while waiting:
        name = waiting.pop()
        if name in seen:
            continue
        seen.add(name)
        yield name
        for text in distribution(name).requires or ():
            needed = Requirement(text)
            if needed.marker is None or needed.marker.evaluate({"extra": ""}):
                waiting.append(needed.name)


@pytest.fixture(scope="module")
def site(sources: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the built package and what its extra names, and nothing else."""
    built, site = tmp_path_factory.mktemp("wheel"), tmp_path_factory.mktemp("site")
    build = f"from setuptools import build_meta; build_meta.build_wheel({str(built)!r})"
    subprocess.run([sys.executable, "-c", build], cwd=sources, check=True, capture_output=True)
    (wheel,) = built.iterdir()
    zipfile.ZipFile(wheel).extractall(site)
    for name in required(EXTRA):
        for file in distribution(name).files or ():
            top = file.parts[0]
            if top not in {"..", "__pycache__"} and not (site / top).exists():
                (site / top).symlink_to(Path(str(distribution(name).locate_file(top))))
    return site


def test_the_package_brings_the_core_and_the_models_only(site: Path) -> None:
    """Nothing of Airflow's side is installed, and the files beside the code are."""
    assert {path.name for path in (site / "include").iterdir() if path.is_dir()} == {
        "models",
        "retraining",
    }
    there = {path.relative_to(site).as_posix() for path in (site / "include").rglob("*")}
    wanted = [
        *("include/models/loan_approval.yaml", "include/models/loan_approval_r/predict.R"),
        *("include/retraining/requirements.txt", "include/retraining/training/requirements.txt"),
        "include/retraining/model_card/card.md.jinja",
    ]
    assert [name for name in wanted if name not in there] == []


def test_the_lines_run_where_only_the_package_is_installed(
    promoted: Promoted, site: Path, tmp_path: Path
) -> None:
    """The champion is verified, loaded and asked, without Airflow and the command line."""
    store, entry = promoted
    (tmp_path / "patients.csv").write_bytes(diabetes_progression())
    script = (
        f"import sys; sys.path.insert(0, {str(site)!r})\n"
        "from importlib.util import find_spec\n"
        "absent = ('airflow', 'typer', 'rich', 'httpx', 'matplotlib', 'fairlearn', 'fastapi')\n"
        "assert not [name for name in absent if find_spec(name)]\n"
        + code_of_the_page(store)
        + "print(sys.modules['include'].__file__)\n"
    )
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-c", script],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(f"{entry.version} 1 ('age', 'bmi', ")
    assert "441 " in done.stdout
    assert done.stdout.rstrip().endswith(str(site / "include" / "__init__.py"))


@pytest.mark.slow
def test_the_package_is_installed_by_name(promoted: Promoted, sources: Path, tmp_path: Path):
    """`pip install '.[serving]'` in a fresh environment is enough for the page's lines."""
    store, entry = promoted
    (tmp_path / "patients.csv").write_bytes(diabetes_progression())
    python = tmp_path / "venv" / "bin" / "python"
    for command in (
        [uv(), "venv", "--python", sys.executable, str(tmp_path / "venv")],
        [uv(), "pip", "install", "--python", str(python), f"{sources}[serving]"],
        [str(python), "-I", "-c", code_of_the_page(store)],
    ):
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(f"{entry.version} 1 ('age', 'bmi', ")
    listed = subprocess.run(
        [uv(), "pip", "list", "--python", str(python)], capture_output=True, text=True, check=True
    ).stdout
    assert "airflow-retraining" in listed
    assert "apache-airflow" not in listed


def test_the_extra_is_what_training_installs() -> None:
    """A model is loaded by the minor version of scikit-learn that made it: the lock's."""
    lock = (ROOT / "include/retraining/training/requirements.txt").read_text(encoding="utf-8")
    pinned = re.search(r"^scikit-learn==(\d+)\.(\d+)\.", lock, re.MULTILINE)
    assert pinned is not None
    major, minor = int(pinned[1]), int(pinned[2])
    expected = [
        f"scikit-learn>={major}.{minor},<{major}.{minor + 1}"
        if name.startswith("scikit-learn")
        else name
        for name in PROJECT["dependency-groups"]["training"]
    ]
    assert expected == EXTRA


@pytest.fixture
def service() -> TestClient:
    """The example's service."""
    spec = importlib.util.spec_from_file_location("serving_example", EXAMPLE)
    assert spec is not None
    assert spec.loader is not None
    module: Any = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return TestClient(module.app)


def test_the_service_answers(
    promoted: Promoted, service: TestClient, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Rows as JSON are predicted with version and generation; wrong ones are refused by column."""
    store, entry = promoted
    monkeypatch.setenv(URI_VARIABLE, store.uri)
    (tmp_path / "patients.csv").write_bytes(diabetes_progression())
    sent = pd.read_csv(tmp_path / "patients.csv").head(3).to_dict("records")
    answer = service.post("/predict", json=sent)
    assert answer.status_code == 200, answer.text
    said = answer.json()
    assert (said["version"], said["generation"]) == (entry.version, 1)
    assert said["is_stale"] is False
    assert [list(one) for one in said["predictions"]] == [["prediction"]] * 3
    sent[1]["age"] = "many"
    answer = service.post("/predict", json=sent)
    assert answer.status_code == 422
    assert "column 'age' is of type object, allowed is float" in answer.json()["detail"]
    assert "many" not in answer.text


def test_a_model_that_fails_is_no_missing_champion(
    promoted: Promoted, service: TestClient, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An infinite number is the caller's mistake, and an error of the model is said to be that."""
    store, entry = promoted
    monkeypatch.setenv(URI_VARIABLE, store.uri)
    (tmp_path / "patients.csv").write_bytes(diabetes_progression())
    sent = pd.read_csv(tmp_path / "patients.csv").head(1).to_json(orient="records")
    infinite = re.sub(r'"age":[0-9.]+', '"age":1e999', sent)
    json = {"content-type": "application/json"}
    answer = service.post("/predict", content=infinite, headers=json)
    assert answer.status_code == 422
    assert "column 'age' is infinite in 1 of 1 rows" in answer.json()["detail"]

    def fails(*_: object) -> None:
        raise ValueError("a cell")

    monkeypatch.setattr(version, "predict", fails)
    answer = service.post("/predict", content=sent, headers=json)
    assert answer.status_code == 500
    assert answer.json()["detail"] == f"version {entry.version} fails on these rows"


def test_the_service_without_a_champion(
    service: TestClient, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It says that it cannot answer, and shows nobody where its store is."""
    monkeypatch.setenv(URI_VARIABLE, f"file://{tmp_path}")
    answer = service.post("/predict", json=[{"age": 1}])
    assert answer.status_code == 503
    assert str(tmp_path) not in answer.text
