"""YAML that cannot be read is told by its place, and by what it usually is."""

from __future__ import annotations

import pytest

from include.retraining.config.yaml_file import HINT, read_mapping
from include.retraining.exceptions import ConfigError


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("a: 1\nb: @daily", "line 2, column 4: found character that cannot start any token"),
        ("a:\n\tb: 1", "line 2, column 1: found character that cannot start any token"),
        ("a: *.csv", "line 1, column 5: "),
        ("a: %x", "line 1, column 4: "),
        ("a: !x y", "line 1, column 4: could not determine a constructor for the tag '!x'"),
        ("a: b: c", "line 1, column 5: mapping values are not allowed in this context"),
        (
            "a:\n  - [b\nc: 1",
            "line 3, column 2: did not find expected ',' or ']', while parsing a flow sequence",
        ),
    ],
)
def test_a_value_that_needs_quotes(text: str, says: str) -> None:
    """Line and column come first, and last what a newcomer to YAML does not know."""
    with pytest.raises(ConfigError) as raised:
        read_mapping(text, "x.yaml")
    assert str(raised.value).startswith(f"x.yaml: not readable as YAML: {says}")
    assert str(raised.value).endswith(f": {HINT}")
    assert "unicode string" not in str(raised.value)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("a: 1\na: 2", "line 2, column 1: the key 'a' is given twice"),
        ("a: \x00", "unacceptable character #x0000: control characters are not allowed, position "),
    ],
)
def test_what_no_quotes_would_mend(text: str, says: str) -> None:
    """A name that is given twice, or a character that YAML does not have, is told without them."""
    with pytest.raises(ConfigError) as raised:
        read_mapping(text, "x.yaml")
    assert str(raised.value).startswith(f"x.yaml: not readable as YAML: {says}")
    assert HINT not in str(raised.value)
