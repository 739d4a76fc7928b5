"""Documents from templates: what is filled in is text, whatever it holds."""

from __future__ import annotations

from pathlib import Path

import pytest
from jinja2 import UndefinedError

from include.retraining.model_card.template import Markdown, render_markdown

HOSTILE = "](javascript:x) <b> | **bold** `tick`\n# Heading"


@pytest.fixture
def template(tmp_path: Path) -> Path:
    """A document with one value in it."""
    file = tmp_path / "letter.md.jinja"
    file.write_text("# Letter\n\n\n\n{% if greet %}\nDear {{ name }},\n\n{% endif %}\n\nBye\n")
    return file


def test_what_is_filled_in_is_escaped(template: Path) -> None:
    """A text is one line without markup, although no filter asks for that."""
    shown = render_markdown(template, name=HOSTILE, greet=True)
    assert r"Dear \](javascript:x) \<b\> \| \*\*bold\*\* \`tick\` \# Heading," in shown
    assert render_markdown(template, name=Markdown("**Ada**"), greet=True).count("**Ada**") == 1


def test_blank_lines_of_what_is_left_out(template: Path) -> None:
    """Parts that are left out leave no gap."""
    assert render_markdown(template, name="", greet=False) == "# Letter\n\nBye\n"


def test_a_name_that_is_missing_is_an_error(template: Path) -> None:
    """A slip in a template is no empty place in a document."""
    with pytest.raises(UndefinedError, match="name"):
        render_markdown(template, greet=True)
