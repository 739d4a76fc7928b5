"""The commands for those who must document a model."""

from __future__ import annotations

import json
from pathlib import Path

from include.retraining.store.object_store import Store
from tests.support.command_line import Run
from tests.support.run_factory import MODEL, version_name


def test_dossier(store: Store, run: Run, tmp_path: Path) -> None:
    """`dossier` writes the document, with a bill of materials, and lists what is missing."""
    code, out, _ = run("dossier", MODEL, "--to", str(tmp_path))
    assert code == 0
    assert "5 the system of risk management (Article 9)" in out
    text = (tmp_path / f"{MODEL}-dossier.md").read_text(encoding="utf-8")
    assert version_name(2) in text
    bom = json.loads((tmp_path / f"{MODEL}-bom.cdx.json").read_text(encoding="utf-8"))
    assert bom["metadata"]["component"]["version"] == version_name(2)


def test_a_folder_that_is_not_there(store: Store, run: Run, tmp_path: Path) -> None:
    """`dossier` makes none: it says which option names it."""
    code, _, err = run("dossier", MODEL, "--to", str(tmp_path / "none"))
    assert code != 0
    assert "--to" in err


def test_dossier_for_a_machine(store: Store, run: Run, tmp_path: Path) -> None:
    """With `--json`, files and missing parts are lists."""
    answer = json.loads(run("dossier", MODEL, "--to", str(tmp_path), "--json")[1])
    assert answer["files"][0] == str(tmp_path / f"{MODEL}-dossier.md")
    assert answer["missing"]


def test_who_saw_does_not_repeat_the_key(store: Store, run: Run) -> None:
    """Where nothing can be read, `who-saw` says so and answers for the key by its SHA-256."""
    code, out, _ = run("who-saw", "secret-key", "--model", MODEL)
    assert code == 0
    assert f"cannot be known: {MODEL}: training part of version {version_name(2)}" in out
    assert "secret-key" not in out


def test_forget_repeats_no_key(store: Store, run: Run, tmp_path: Path) -> None:
    """`forget` counts the keys of a file, and names neither them nor those of an empty one."""
    keys = tmp_path / "keys.txt"
    keys.write_text("secret-key\n\n17\n17\n", encoding="utf-8")
    code, out, _ = run("forget", MODEL, "--keys", str(keys), "--reason", "asked to")
    assert (code, "request 1 has 2 keys" in out, "secret-key" in out) == (0, True, False)
    keys.write_text("\n", encoding="utf-8")
    code, _, err = run("forget", MODEL, "--keys", str(keys), "--reason", "asked to")
    assert code == 1
    assert "has 0 keys, allowed are 1 to 1,000,000" in err
