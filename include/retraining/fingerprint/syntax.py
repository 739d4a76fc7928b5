"""What a Python file does when it runs, without its comments, its docstrings and its layout."""

from __future__ import annotations

import ast
from typing import Any

IGNORED_FIELDS = frozenset({"kind", "type_comment", "type_ignores"})
"""Fields of a syntax tree that change nothing at run time."""
READS_ITS_TEXT = (b"__doc__", b"getdoc", b"getsource")
"""A file with one of these may use its own docstrings: all of its text counts."""


def meaning(source: bytes) -> bytes:
    """Return what a file does, in a form that is the same in every Python that can parse it.

    `ast.dump` is not: releases differ in the empty fields that they write. What is not Python, or
    may read its own docstrings, counts as it is.

    Args:
        source: the file's bytes.
    """
    if any(word in source for word in READS_ITS_TEXT):
        return source
    try:
        tree = ast.parse(source)
    except (SyntaxError, ValueError, RecursionError, MemoryError):  # importing it will fail as well
        return source
    return "\n".join(_nodes(tree)).encode()


def _nodes(tree: ast.AST) -> list[str]:
    """Return a line for each node: its kind, its values, and how many nodes each field holds.

    A node's children are the ones behind it, the last of them first, so that the lines are the
    tree. Not by recursion: a long sum is as deep as it has terms.
    """
    lines: list[str] = []
    waiting: list[Any] = [tree]
    while waiting:
        node = waiting.pop()
        if not isinstance(node, ast.AST):  # a list may also hold names, and None
            lines.append(ascii(node))
            continue
        words = [type(node).__name__]
        for name in node._fields:
            value: Any = getattr(node, name, None)
            if isinstance(value, list):
                value = [item for item in value if not _does_nothing(item, node)]
                if value:
                    words.append(f"{name}:{len(value)}")
                    waiting += value
            elif isinstance(value, ast.AST):
                words.append(f"{name}:")
                waiting.append(value)
            elif value is not None and name not in IGNORED_FIELDS:
                words.append(f"{name}={value!a}")
        lines.append(" ".join(words))
    return lines


def _does_nothing(item: Any, inside: ast.AST) -> bool:
    """Return whether a statement is a string alone, or a part of an f-string is empty.

    Python 3.12 writes down such a part where other releases do not.
    """
    if isinstance(inside, ast.JoinedStr):
        return isinstance(item, ast.Constant) and item.value == ""
    return (
        isinstance(item, ast.Expr)
        and isinstance(item.value, ast.Constant)
        and isinstance(item.value.value, str)
    )
