from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from include.retraining.documents import Document, canonical_json, parse_json, sha256_of
from include.retraining.exceptions import EvidenceError


class Score(Document):
    """A document like those that a step leaves."""

    name: str
    value: float
    rows: int = 1
    parts: tuple[float, ...] = ()


GOOD = b'{"name": "accuracy", "value": 0.95}'
JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=20,
)


def test_a_good_document_is_read():
    """Strict does not mean that a plain document is refused."""
    score = Score.from_bytes(GOOD, where="x.json")
    assert (score.name, score.value, score.rows) == ("accuracy", 0.95, 1)


@pytest.mark.fault("F01")
@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b'{"name": "a", "value": NaN}', "NaN is not a number"),
        (b'{"name": "a", "value": Infinity}', "Infinity is not a number"),
        (b'{"name": "a", "value": -Infinity}', "-Infinity is not a number"),
        (b'{"name": "a", "value": 1e999}', "too large"),
        (b'{"name": "a", "value": -1e999}', "too large"),
        (b'{"name": "a", "value": null}', "value: "),
        (b'{"name": "a", "value": "0.95"}', "value: "),
        (b'{"name": "a", "value": "NaN"}', "value: "),
        (b'{"name": "a", "value": true}', "value: "),
        (b'{"name": "a", "value": [0.95]}', "value: "),
        (b'{"name": "a", "value": {"value": 0.95}}', "value: "),
        (b'{"name": "a"}', "value: Field required"),
        (b'{"name": "a", "value": 0.1, "value": 0.95}', "'value' is given twice"),
        (b'{"name": "a", "value": 0.1, "parts": [{"x": 1, "x": 2}]}', "'x' is given twice"),
        (b'{"name": "a", "value": 0.1, "parts": ["0.5"]}', "parts.0: "),
        (b'{"name": "a", "value": 0.1, "extra": 1}', "extra: "),
        (b'{"name": "a", "value": 0.1, "rows": 1.5}', "rows: "),
        (b'{"name": "a", "value": 0.1, "rows": true}', "rows: "),
        (b'{"name": 5, "value": 0.1}', "name: "),
        (GOOD + b"{}", "not a readable Score"),
        (GOOD + b"\x00", "not a readable Score"),
        (GOOD[:-1], "not a readable Score"),
        (b"", "not a readable Score"),
        (b"\xff\xfe", "not a readable Score"),
        (b"[" * 100_000 + b"]" * 100_000, "nested too deep"),
        (b"[]", "document: "),
        (b"null", "document: "),
        (b"0.95", "document: "),
    ],
)
def test_what_other_parsers_let_pass_is_refused(data: bytes, message: str):
    """A metric that is not a finite number in its place is never compared (F01)."""
    with pytest.raises(EvidenceError) as caught:
        Score.from_bytes(data, where="runs/x.json")
    assert str(caught.value).startswith("runs/x.json: ")
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.fault("F01")
@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, True, "0.95", None])
def test_no_document_can_be_made_with_what_is_no_number(value: Any):
    """A bad number is refused where it arises, too."""
    with pytest.raises(ValueError, match="value"):
        Score(name="a", value=value)


def test_a_document_is_never_edited():
    """A field cannot be assigned."""
    with pytest.raises(ValueError, match="frozen"):
        Score(name="a", value=0.1).value = 1.0  # type: ignore[misc]


def test_a_documents_digest_is_that_of_its_stored_bytes():
    """Who reads the bytes from the store finds the digest that was recorded."""
    score = Score(name="ü", value=0.1)
    assert score.content_digest == sha256_of(score.to_bytes())
    assert Score.from_bytes(score.to_bytes(), where="x") == score
    assert score.to_bytes().endswith(b"}\n")


def test_a_whole_number_is_a_float_too():
    """JSON has one kind of number: `1` may stand where a float is declared."""
    assert Score.from_bytes(b'{"name": "a", "value": 1}', where="x").value == 1.0


@settings(max_examples=50, deadline=None)
@given(value=JSON)
def test_canonical_json_reads_back_as_what_it_was(value: Any):
    """Canonical JSON loses nothing."""
    assert parse_json(canonical_json(value)) == value


@settings(max_examples=50, deadline=None)
@given(value=st.dictionaries(st.text(), JSON, min_size=2))
def test_canonical_json_does_not_depend_on_order(value: dict[str, Any]):
    """Equal values have equal bytes, in whatever order their keys were put in."""
    turned = dict(reversed(value.items()))
    assert canonical_json(turned) == canonical_json(value)


@pytest.mark.parametrize("value", [math.nan, math.inf, {"a": [math.nan]}])
def test_canonical_json_refuses_what_json_has_not(value: Any):
    """A fingerprint over NaN would be a fingerprint over nothing."""
    with pytest.raises(ValueError, match="JSON compliant"):
        canonical_json(value)
