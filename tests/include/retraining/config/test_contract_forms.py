"""A contract is a class or a schema; columns that pandera does not hear of are named."""

from __future__ import annotations

import re
from typing import Any

import pandas as pd
import pytest
from sklearn.datasets import load_digits

from include.retraining.cli.config_check import contract_problems
from include.retraining.config.model_code import load_model_code
from include.retraining.exceptions import ConfigError, DataRejected
from tests.docs.markdown_files import ROOT
from tests.support.toy_models import Toy, model_file

CLASS = """\
class Contract(pa.DataFrameModel):
    id: int = pa.Field(unique=True)
    y: int
    {body}

    class Config:
        strict = False
"""


def with_contract(text: str) -> str:
    """The toy's file with another contract."""
    head, _, rest = model_file("binary").partition("class Contract")
    return head + text + rest[rest.index("def build_estimator") :]


IN_THE_BODY = """\
for _name in FEATURES:
        __annotations__[_name] = float"""
SHARED = """\
for _name in FEATURES:
        __annotations__[_name] = float
        vars()[_name] = FIELD"""


def test_annotations_that_are_made_in_the_body_of_a_class_declare_columns(make_toy: Any):
    """A loop in the class is as good as a line for each column."""
    toy = make_toy()
    toy.write_model(with_contract(CLASS.format(body=IN_THE_BODY)))
    assert list(load_model_code(toy.config).contract.to_schema().columns) == ["id", "y", "a", "b"]


@pytest.mark.parametrize(
    ("text", "lost"),
    [
        (
            CLASS.format(body="pass")
            + "for name in FEATURES:\n    Contract.__annotations__[name] = float\n",
            "a, b",
        ),
        (
            CLASS.format(body="pass")
            + "for name in FEATURES:\n    Contract.__annotations__[name] = float\n"
            "    setattr(Contract, name, pa.Field(ge=0))\n",
            "a, b",
        ),
        ("FIELD = pa.Field()\n\n" + CLASS.format(body=SHARED), "a"),
    ],
    ids=["annotated afterwards", "set afterwards", "one field for all"],
)
def test_columns_that_pandera_does_not_hear_of_are_named(make_toy: Any, text: str, lost: str):
    """The words name them, say why, and which forms there are for many columns."""
    toy = make_toy()
    toy.write_model(with_contract(text))
    with pytest.raises(ConfigError) as refused:
        load_model_code(toy.config)
    (line,) = str(refused.value).split("\n")
    assert f"Contract: pandera does not know {lost}, although the class" in line
    assert "`pa.Field()` of its own" in line
    assert "pa.DataFrameSchema" in line


def test_a_variable_of_a_loop_is_no_column(make_toy: Any):
    """What pandera says of it is shown."""
    toy = make_toy()
    toy.write_model(with_contract(CLASS.format(body=IN_THE_BODY.replace("_name", "name"))))
    (line,) = contract_problems(toy.config, load_model_code(toy.config))
    assert "is not valid: SchemaInitError: Found missing annotations: ['name']" in line


def test_neither_form_is_refused(make_toy: Any):
    """A mapping of columns is no contract."""
    toy = make_toy()
    toy.write_model(with_contract("Contract = {'a': float}\n\n"))
    with pytest.raises(ConfigError, match="a pandera DataFrameModel or DataFrameSchema"):
        load_model_code(toy.config)


HEAD = """\
import pandera.pandas as pa
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

"""
ESTIMATOR = """


def build_estimator(seed):
    return make_pipeline(StandardScaler(), LogisticRegression())
"""


def documented() -> list[str]:
    """The contracts of 64 columns in docs/contract.md."""
    page = (ROOT / "docs" / "contract.md").read_text(encoding="utf-8")
    section = page.partition("## Many columns")[2]
    return re.findall(r"```python\n(.*?)```", section, re.DOTALL)


def digits() -> pd.DataFrame:
    """1,797 images of digits, a column for each of 64 pixels."""
    pixels, digit = load_digits(return_X_y=True)
    frame = pd.DataFrame(pixels, columns=[f"p{number:02d}" for number in range(64)])
    return frame.assign(image_id=range(len(frame)), is_even=(digit % 2 == 0).astype(int))


@pytest.mark.parametrize("text", documented(), ids=["pattern", "schema"])
def test_the_contracts_of_64_columns_in_the_docs_take_a_run(make_toy: Any, text: str):
    """A pattern and a schema declare, refuse and train as they stand in docs/contract.md."""
    changes = {"key": "image_id", "label": "is_even", "min_rows": 1000}
    toy: Toy = make_toy(data=changes)
    toy.write_model(HEAD + text + ESTIMATOR)
    assert list(contract_problems(toy.config, load_model_code(toy.config))) == []
    toy.deliver(digits())
    _, report = toy.run()
    accuracy = report.challenger.metrics["accuracy"]
    assert accuracy is not None
    assert accuracy > 0.8
    toy.deliver(digits().assign(p63=17.0))
    with pytest.raises(DataRejected, match="p63"):
        toy.plan()
