from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ConfigDict

from include.retraining.decisions.record import DecisionRecord
from include.retraining.documents import Document, canonical_json, parse_json, sha256_of
from include.retraining.exceptions import EvidenceError
from include.retraining.registry.entry import PromotionEntry
from include.retraining.registry.versions import VersionManifest
from include.retraining.runs.manifest import RunManifest


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


class Numbered(Document):
    """A document that had two formats so far."""

    format: int = 2
    name: str = "a"


@pytest.mark.parametrize("found", [b"1", b"2"])
def test_every_format_so_far_is_read(found: bytes):
    """What an earlier release wrote, and what this one writes, is read."""
    assert Numbered.from_bytes(b'{"format": ' + found + b"}", where="x").name == "a"
    assert Numbered.from_bytes(b"{}", where="x").format == 2


@pytest.mark.parametrize("found", [b"3", b"0", b"-1", b"true", b'"2"', b"2.0", b"null"])
def test_a_format_that_is_not_known_is_refused_whatever_else_it_holds(found: bytes):
    """The error names the object, the format that was found and those that are known."""
    data = b'{"format": ' + found + b', "field_of_tomorrow": 1}'
    with pytest.raises(EvidenceError, match=r"runs/x.json: format: found .*known here is 1 to 2"):
        Numbered.from_bytes(data, where="runs/x.json")


def test_a_document_without_a_number_has_the_first_format():
    """A later release numbers what has no number yet: that is refused as such too."""
    with pytest.raises(EvidenceError, match="format: found 2, known here is 1:"):
        Score.from_bytes(b'{"name": "a", "value": 0.1, "format": 2}', where="x")


def test_what_a_producer_numbers_is_not_ours():
    """A document that ignores what it does not know ignores a format of somebody else's."""

    class Theirs(Document):
        model_config = ConfigDict(extra="ignore")
        name: str

    assert Theirs.from_bytes(b'{"name": "a", "format": 7}', where="x").name == "a"


def test_every_kind_of_stored_document_refuses_a_format_of_tomorrow():
    """No kind of document with a number reads one that it does not know."""
    fields = {kind: kind.model_fields.get("format") for kind in _kinds(Document)}
    newest_of = {kind: one.default for kind, one in fields.items() if one and not one.is_required()}
    assert {DecisionRecord, PromotionEntry, RunManifest, VersionManifest} <= newest_of.keys()
    for kind, newest in newest_of.items():
        with pytest.raises(EvidenceError, match="format: found"):
            kind.from_bytes(b'{"format": %d}' % (newest + 1), where="x")


def _kinds(parent: type[Document]) -> list[type[Document]]:
    below = parent.__subclasses__()
    return below + [deeper for kind in below for deeper in _kinds(kind)]
