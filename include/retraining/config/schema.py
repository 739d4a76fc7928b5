"""The JSON Schema of a model's YAML, with the docstring below each field as its description.

pydantic can take them itself (`use_attribute_docstrings`), but reads every class's source for that
whenever it is imported: a tenth of a second for each task and each parse of a DAG file.
"""

from __future__ import annotations

import ast
import inspect
import json
import textwrap
from itertools import pairwise
from pathlib import Path
from typing import Any

from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue

from include.retraining.config.model import MODELS_FOLDER, ModelConfig


def schema() -> str:
    """Return the JSON Schema of a model's YAML, for completion in an editor."""
    document = ModelConfig.model_json_schema(schema_generator=_Described)
    return json.dumps(document, indent=2, ensure_ascii=False) + "\n"


def write_schema(folder: Path = MODELS_FOLDER) -> None:
    """Write the JSON Schema beside the models."""
    (folder / "schema.json").write_text(schema(), encoding="utf-8")


class _Described(GenerateJsonSchema):
    def model_schema(self, schema: Any) -> JsonSchemaValue:
        document = super().model_schema(schema)
        for name, text in _field_docstrings(schema["cls"]).items():
            if name in document.get("properties", {}):
                document["properties"][name]["description"] = text
        return document


def _field_docstrings(section: type) -> dict[str, str]:
    """Return the docstrings below the fields of a class and of those that it inherits from."""
    texts: dict[str, str] = {}
    for part in reversed(section.__mro__):
        if part.__module__.startswith("include."):
            source = textwrap.dedent(inspect.getsource(part))
            texts |= _docstrings_in(ast.parse(source).body[0])
    return texts


def _docstrings_in(section: ast.AST) -> dict[str, str]:
    if not isinstance(section, ast.ClassDef):
        return {}
    return {
        field.target.id: inspect.cleandoc(text.value.value)
        for field, text in pairwise(section.body)
        if isinstance(field, ast.AnnAssign)
        and isinstance(field.target, ast.Name)
        and isinstance(text, ast.Expr)
        and isinstance(text.value, ast.Constant)
        and isinstance(text.value.value, str)
    }
