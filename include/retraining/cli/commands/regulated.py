"""Commands for those who must document a model, or answer for a row of its data."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

from typer import Argument, Option

from include.retraining.approval.reason import checked_reason
from include.retraining.cli.answer import print_answer
from include.retraining.cli.opening import open_log, user
from include.retraining.cli.options import AsJson, Name, Reason, StoreUri
from include.retraining.exceptions import ConfigError
from include.retraining.store.marker import open_store


def dossier(
    name: Name,
    *,
    to: Annotated[Path, Option(metavar="FOLDER", help="where the files are written")] = Path(),
    store: StoreUri = None,
    as_json: AsJson = False,
) -> int:
    """Write the technical documentation of the champion.

    From the records alone, in the order of Annex IV of the EU AI Act, with a bill of materials
    (CycloneDX) beside it.
    """
    from include.retraining.dossier.bom import make_bom
    from include.retraining.dossier.render import render
    from include.retraining.dossier.sections import make_sections
    from include.retraining.dossier.sources import Missing, read_sources

    sources = read_sources(open_log(store, name).store, name)
    sections = make_sections(sources)
    path, bom_path = to / f"{name}-dossier.md", to / f"{name}-bom.cdx.json"
    _write(path, render(sources, sections))
    bom = json.dumps(make_bom(sources), indent=2, ensure_ascii=False, allow_nan=False)
    _write(bom_path, f"{bom}\n")
    missing = [
        f"{section.number} {item.what}"
        for section in sections
        for item in section.items
        if isinstance(item, Missing)
    ]
    value = {"model": name, "files": [path, bom_path], "missing": missing}
    lines = [
        f"{path} and {bom_path} are written; {len(missing)} parts are missing:",
        *missing,
    ]
    return print_answer(value, lambda: lines, as_json=as_json)


def who_saw(
    key: Annotated[str, Argument(metavar="KEY", help="as it stands in a file")],
    name: Annotated[str | None, Option("--model", metavar="NAME", help="default: all")] = None,
    store: StoreUri = None,
    as_json: AsJson = False,
) -> int:
    """List which versions, runs and scores have a row's key.

    By its hash: the key is not repeated.
    """
    from include.retraining.privacy.who_saw import who_saw as look_for

    opened = open_store(store)
    names = [open_log(store, name).model] if name else opened.children("models")[0]
    answer = look_for(opened, names, key)
    lines = [f"key with SHA-256 {answer.key_sha256}, {answer.places:,} places:"]
    for sighting in answer.sightings:
        why = f": {sighting.why}" if sighting.why else ""
        where = f"{sighting.model}: {sighting.what}"
        lines.append(f"{sighting.answer}: {where} ({sighting.evidence}){why}")
    if not answer.sightings:
        lines.append("none has it")
    return print_answer(answer, lambda: lines, as_json=as_json)


def forget(
    name: Name,
    *,
    keys: Annotated[Path, Option(metavar="FILE", help="a key on each line", show_default=False)],
    reason: Reason,
    store: StoreUri = None,
    as_json: AsJson = False,
) -> int:
    """Have rows of some keys left out of each later training.

    Of a key, only its hash is kept. The champion has what it was trained on until it is replaced.
    """
    from include.retraining.privacy.forget import forget as request_forgetting
    from include.retraining.privacy.forget import read_keys

    log, actor = open_log(store, name), user()
    reason = checked_reason(actor, reason)
    asked = read_keys(keys)
    request = request_forgetting(log.store, name, asked, actor=actor, reason=reason)
    value = {"model": name, "request": request.number, "keys": len(request.keys)}
    line = (
        f"{name}: request {request.number} has {len(request.keys):,} keys; the next run trains "
        "without their rows, and its record says so"
    )
    return print_answer(value, lambda: [line], as_json=as_json)


def _write(path: Path, text: str) -> None:
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise ConfigError(f"--to {path.parent}: cannot be written to: {error.strerror}") from error
