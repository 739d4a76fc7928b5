"""What a Python file says when it runs, whatever its comments, its docstrings and its layout."""

from __future__ import annotations

import ast
from typing import Any

DOCUMENTED = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
UNSEEN = frozenset({"kind", "type_comment", "type_ignores"})
"""Fields of a syntax tree without meaning when it runs."""


def meaning(source: bytes) -> bytes:
    """Return what a file says, in a form that is the same for each Python that can read it.

    `ast.dump` is not: releases differ in the empty fields that they write. A file that is not
    Python is itself.

    Args:
        source: the file's bytes.
    """
    try:
        tree = ast.parse(source)
    except (SyntaxError, ValueError):  # importing it will say so
        return source
    parts: list[str] = []
    _write(tree, parts)
    return "".join(parts).encode()


def _write(node: Any, parts: list[str]) -> None:
    """Append what a node of a syntax tree says: its kind, and its fields that are not empty."""
    if isinstance(node, ast.AST):
        parts.append(f"{type(node).__name__}(")
        for name in node._fields:
            value: Any = getattr(node, name, None)
            if name == "body" and isinstance(node, DOCUMENTED):
                value = _without_docstring(value)
            if value is None or value == [] or name in UNSEEN:
                continue
            parts.append(f"{name}=")
            _write(value, parts)
        parts.append(")")
    elif isinstance(node, list):
        for one in node:
            _write(one, parts)
            parts.append(",")
    else:
        parts.append(ascii(node))


def _without_docstring(body: list[ast.stmt]) -> list[ast.stmt]:
    match body:
        case [ast.Expr(value=ast.Constant(value=str())), *rest]:
            return rest
    return body
