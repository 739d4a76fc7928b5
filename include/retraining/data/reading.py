"""As what a model's deliveries are read: one answer for every step, from contract and YAML."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace

from include.retraining.config.csv_dialect import CsvDialect
from include.retraining.config.model import ModelConfig
from include.retraining.config.model_code import ModelCode
from include.retraining.data.column_types import ColumnTypes, declared_types
from include.retraining.exceptions import ConfigError


@dataclass(frozen=True)
class Reading:
    """How the columns of a delivery become what the contract declares."""

    model: str
    types: ColumnTypes
    csv: CsvDialect
    key: str
    features: tuple[str, ...] = ()
    guessed: frozenset[str] = frozenset()
    """Columns that are read from CSV as numbers where all their cells are numbers, because they
    must be numbers to be of use, or because only a version of before knows what they are."""

    def guessing(self, names: Collection[str]) -> Reading:
        """Return a reading that guesses columns which the contract does not declare, too."""
        unknown = {name for name in names if not self.types.declares(name)}
        return replace(self, guessed=self.guessed | unknown)


def reading_of(config: ModelConfig, code: ModelCode) -> Reading:
    """Return as what a model's deliveries are read.

    Raises:
        ConfigError: when the contract is invalid.
    """
    try:
        types = declared_types(code.contract.to_schema())
    except Exception as error:
        where = f"include/models/{config.name}.py: Contract"
        raise ConfigError(f"{where}: is not valid: {type(error).__name__}: {error}") from error
    data = config.data
    numbers = {name for item in data.protected for name in item.one_hot or ()}
    numbers |= {data.label} if config.problem == "regression" else set()
    guessed = frozenset(name for name in numbers if types.of(name) is None)
    return Reading(config.name, types, data.csv, data.key, code.features, guessed)
