"""A new model's files held against the sample that they were written from, as a run would."""

from __future__ import annotations

import importlib.util
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from types import ModuleType

from include.retraining.config.model import ModelConfig, parse_model
from include.retraining.config.model_code import ModelCode, code_of
from include.retraining.data.contract import check_contract, expectations
from include.retraining.data.contract_probes import check_contract_refuses
from include.retraining.data.dataset import read_dataset
from include.retraining.data.reading import reading_of
from include.retraining.exceptions import ConfigError, RetrainingError
from include.retraining.fingerprint.pinned import Delivery, Flag, PinnedFile
from include.retraining.store.object_store import Store


def check_files(name: str, *, yaml: str, python: str, data: Path | None) -> ModelConfig:
    """Check two files before they are written, and that the sample keeps their contract.

    Args:
        name: the model's.
        yaml: the text of its YAML.
        python: the text of its Python file.
        data: the sample; None where there is none, or it is too large to be read whole.

    Returns:
        The configuration.

    Raises:
        ConfigError: naming what does not fit.
    """
    config = parse_model(yaml, where=f"include/models/{name}.yaml")
    with _imported(name, python) as module:
        code = code_of(module, config)
        if data is not None:
            try:
                _check_data(config, code, data)
            except RetrainingError as error:
                raise ConfigError(
                    f"nothing was written: {data.name} would be refused as a delivery: {error}"
                ) from error
    return config


def _check_data(config: ModelConfig, code: ModelCode, data: Path) -> None:
    store = Store(data.parent.as_uri())
    size, sha256 = store.digest(data.name)
    files = (PinnedFile(name=data.name, size=size, sha256=sha256),)
    flag = Flag(uri=store.uri, identity="none", is_consumable=False)  # nobody wrote one
    delivery = Delivery(location=store.uri, flag=flag, files=files)
    frame = read_dataset(store, delivery, reading_of(config, code))
    today = datetime.now(UTC).date()
    check_contract(frame, config, code, run_date=today, earlier_rows=())
    expected = expectations(config, code, run_date=today, earlier_rows=())
    check_contract_refuses(frame, expected)


@contextmanager
def _imported(name: str, text: str) -> Iterator[ModuleType]:
    """Import a text as the module that it will be, for as long as it is checked."""
    module_name = f"include.models.{name}"
    with tempfile.TemporaryDirectory(prefix="retraining-new-") as folder:
        path = Path(folder, f"{name}.py")
        path.write_text(text, encoding="utf-8")
        spec = importlib.util.spec_from_file_location(module_name, path)
        assert spec is not None  # noqa: S101 a Python file has one
        assert spec.loader is not None  # noqa: S101
        module = importlib.util.module_from_spec(spec)
        sys.modules[module_name] = module  # by which the contract's annotations are resolved
        try:
            spec.loader.exec_module(module)
            yield module
        finally:
            del sys.modules[module_name]
