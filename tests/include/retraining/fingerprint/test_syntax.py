from __future__ import annotations

import pytest

from include.retraining.fingerprint.syntax import meaning

SAME = {
    "a comment and layout": ("x=[1,\n 2]", "x = [1, 2]  # two"),
    "a module's docstring": ('"""Says."""\nx = 1', "x = 1"),
    "a function's docstring": ('def f():\n    """Says."""\n    return 1', "def f(): return 1"),
    "the words below a field": ('class A:\n    x: int\n    """Says."""', "class A:\n    x: int"),
    "the words below a constant": ('X = 1\n"""Says."""', "X = 1"),
    "quotes and parentheses": ("x = ('a' \"b\")", "x = 'ab'"),
    "a release's empty part of an f-string": ("f'{x:>{n}}'", "f'{x:>{n}}' ''"),
}
OTHER = {
    "a name": ("x = 1", "y = 1"),
    "a value": ("x = 1", "x = 2"),
    "a value's type": ("x = 1", "x = True"),
    "a string that is a number": ("x = 1", "x = '1'"),
    "nothing and none": ("x = [None]", "x = []"),
    "an empty argument": ("f('')", "f()"),
    "an argument's name": ("f(a=1)", "f(b=1)"),
    "an annotation": ("x: int", "x: float"),
    "the order of statements": ("a()\nb()", "b()\na()"),
    "where a statement belongs": ("if x:\n    a()\n    b()", "if x:\n    a()\nb()"),
    "which branch it is in": ("if x: a()\nelse: b()", "if x: b()\nelse: a()"),
    "how operations are grouped": ("x = (a - b) - c", "x = a - (b - c)"),
    "a docstring that the file may read": ('"""One."""\nx = __doc__', '"""Two."""\nx = __doc__'),
    "an f-string alone, which runs": ("f'{x()}'", "f'{y()}'"),
    "a global's name": ("def f():\n    global a", "def f():\n    global b"),
}


@pytest.mark.parametrize(("one", "other"), SAME.values(), ids=SAME)
def test_what_does_nothing_counts_nothing(one: str, other: str):
    """Two files that do the same have the same meaning."""
    assert meaning(one.encode()) == meaning(other.encode())


@pytest.mark.parametrize(("one", "other"), OTHER.values(), ids=OTHER)
def test_what_does_something_else_means_something_else(one: str, other: str):
    """Two files that differ in what they do never have the same meaning."""
    assert meaning(one.encode()) != meaning(other.encode())


def test_a_deep_expression_is_read_as_well():
    """A generated sum may have more terms than Python nests calls."""
    total = "x = " + " + ".join(["1"] * 1500)
    assert meaning(total.encode()).count(b"BinOp") == 1499


@pytest.mark.parametrize("source", [b"def f(:", b"\xff\xfe", b"x = 1\0"])
def test_what_is_not_python_is_itself(source: bytes):
    """A file that cannot be parsed is compared by its bytes."""
    assert meaning(source) == source
