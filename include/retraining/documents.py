"""The JSON documents in the store: strict to read, canonical to write."""

from __future__ import annotations

import hashlib
import json
from typing import Any, Self

from pydantic import BaseModel, ConfigDict, ValidationError

from include.retraining.exceptions import EvidenceError

FIRST_FORMAT = 1


def sha256_of(data: bytes) -> str:
    """Return the SHA-256 of ``data`` in hex."""
    return hashlib.sha256(data).hexdigest()


def canonical_json(value: Any) -> bytes:
    """Return ``value`` as JSON that is equal byte for byte whenever the value is equal.

    Raises:
        ValueError: if a number is NaN or infinite.
    """
    return json.dumps(
        value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False
    ).encode()


def parse_json(data: bytes) -> Any:
    """Parse JSON, refusing what most parsers accept silently.

    Raises:
        ValueError: for NaN, Infinity, a number too large for a float, a key given twice, or
            anything behind the value, or a nesting deeper than any of ours.
    """
    try:
        return json.loads(
            data,
            parse_constant=_refuse_constant,
            parse_float=_finite_float,
            object_pairs_hook=_refuse_duplicates,
        )
    except RecursionError:
        raise ValueError("it is nested too deep to be read") from None


def _refuse_constant(word: str) -> None:
    raise ValueError(f"{word} is not a number that JSON allows")


def _finite_float(text: str) -> float:
    number = float(text)
    if number in (float("inf"), float("-inf")):
        raise ValueError(f"{text} is too large for a number")
    return number


def _refuse_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    keys = [key for key, _ in pairs]
    twice = sorted({key for key in keys if keys.count(key) > 1})
    if twice:
        raise ValueError(f"the key {twice[0]!r} is given twice")
    return dict(pairs)


class Document(BaseModel):
    """A frozen document that is written once.

    Numbers are numbers (``"0.95"`` and ``true`` are not), none is NaN or infinite, and a field
    that is not declared is an error.
    """

    model_config = ConfigDict(
        frozen=True, extra="forbid", strict=True, allow_inf_nan=False, ser_json_inf_nan="strings"
    )

    def to_bytes(self) -> bytes:
        """Return the document as indented JSON with sorted keys."""
        value = self.model_dump(mode="json")
        text = json.dumps(value, sort_keys=True, indent=2, ensure_ascii=False, allow_nan=False)
        return (text + "\n").encode()

    @property
    def content_digest(self) -> str:
        """The SHA-256 of the bytes that are stored."""
        return sha256_of(self.to_bytes())

    @classmethod
    def from_bytes(cls, data: bytes, *, where: str) -> Self:
        """Parse a stored document.

        Args:
            data: what the store returned.
            where: the key, for the error.

        Raises:
            EvidenceError: naming the key and what is wrong with it; for a format that this code
                does not know, which one it is and which are known.
        """
        try:
            cls._require_known_format(parse_json(data), where)
            return cls.model_validate_json(data)
        except ValidationError as error:
            first = error.errors()[0]
            field = ".".join(str(part) for part in first["loc"]) or "document"
            raise EvidenceError(f"{where}: {field}: {first['msg']}") from error
        except ValueError as error:
            raise EvidenceError(f"{where}: not a readable {cls.__name__}: {error}") from error

    @classmethod
    def _require_known_format(cls, value: Any, where: str) -> None:
        """Refuse a document whose format is of a later release, even if its fields are valid.

        A kind of document without a field `format` has had one format so far. What a producer
        writes (`extra="ignore"`) is not ours to number.
        """
        if not isinstance(value, dict) or cls.model_config.get("extra") == "ignore":
            return
        declared = cls.model_fields.get("format")
        if declared is not None and declared.is_required():
            return  # it numbers something else
        newest = FIRST_FORMAT if declared is None else declared.default
        stored = value.get("format", newest)
        if type(stored) is not int or not FIRST_FORMAT <= stored <= newest:
            known = f"{FIRST_FORMAT}" if newest == FIRST_FORMAT else f"{FIRST_FORMAT} to {newest}"
            raise EvidenceError(
                f"{where}: format: found {json.dumps(stored)[:20]}, known here is {known}: it was "
                "written by another release; read it with that one, or update this one"
            )
