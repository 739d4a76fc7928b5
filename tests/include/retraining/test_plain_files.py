from __future__ import annotations

import os
from pathlib import Path

import pytest

from include.retraining.plain_files import plain_files


def test_files_are_found_at_any_depth_by_their_path(tmp_path: Path):
    """Names are relative, sorted, with slashes; empty folders are none of them."""
    (tmp_path / "b" / "c").mkdir(parents=True)
    (tmp_path / "empty").mkdir()
    (tmp_path / "b" / "c" / "x").write_text("")
    (tmp_path / "a").write_text("")
    assert plain_files(tmp_path) == ["a", "b/c/x"]
    assert plain_files(tmp_path / "nowhere") == []


def test_what_is_skipped_is_not_even_looked_at(tmp_path: Path):
    """A skipped name may be a link, and a skipped folder hides what is in it."""
    (tmp_path / ".hidden").mkdir()
    (tmp_path / ".hidden" / "x").write_text("")
    (tmp_path / ".#lock").symlink_to("nowhere")
    assert plain_files(tmp_path, skip=lambda name: name.startswith(".")) == []


@pytest.mark.parametrize("kind", ["link", "dangling", "folder link", "pipe"])
def test_a_link_or_a_special_file_is_refused(tmp_path: Path, kind: str):
    """Nothing that leads elsewhere, or that could block a reader, is a plain file."""
    folder = tmp_path / "folder" / "below"
    folder.mkdir(parents=True)
    target = tmp_path / "outside"
    target.mkdir()
    (target / "secret").write_text("x")
    place = folder / "odd"
    if kind == "pipe":
        os.mkfifo(place)
    else:
        ends = {"link": target / "secret", "dangling": target / "none", "folder link": target}
        place.symlink_to(ends[kind])
    with pytest.raises(ValueError, match=r"^below/odd: a link or a special file$"):
        plain_files(tmp_path / "folder")
