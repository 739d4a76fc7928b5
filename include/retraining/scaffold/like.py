"""Another model like one that is there: its YAML under another name, its Python file imported.

So fifty models of one recipe share one contract, one feature list and one estimator, and each has
values of its own. A change of the recipe trains all of them again; one of a YAML trains that model.
"""

from __future__ import annotations

import re
from pathlib import Path

from include.retraining.config.model import (
    MODELS_FOLDER,
    ModelConfig,
    load_model,
    model_names,
    parse_model,
)
from include.retraining.exceptions import ConfigError
from include.retraining.formatting.text import default_title
from include.retraining.scaffold.model_files import require_free_name, write_model_files
from include.retraining.scaffold.new_model import NewModel
from include.retraining.scaffold.render import yaml_word
from include.retraining.scaffold.sample import read_sample
from include.retraining.scaffold.sample_check import check_files


def model_like(
    name: str, original: str, *, data: Path | None = None, folder: Path = MODELS_FOLDER
) -> NewModel:
    """Write a model's files after those of another.

    Args:
        name: the new model's.
        original: the model that it is like.
        data: a sample that must keep the contract, if there is one.
        folder: where models lie.

    Raises:
        ConfigError: for a name that is none or taken, for a model that is trained by scripts, and
            when the sample breaks the contract. Nothing is written then.
        NotFound: when there is no such model.
    """
    require_free_name(name, folder)
    config = load_model(original, folder)
    if config.training.entry_point is None:
        raise ConfigError(
            f"include/models/{original}.yaml: is trained by the scripts of its folder, which each "
            "model has of its own: copy its files"
        )
    others = set(model_names(folder)) - {original}
    text = (folder / f"{original}.yaml").read_text(encoding="utf-8")
    yaml = _renamed(text, name, original, others)
    python = _importing(name, original, config.training.entry_point)
    sample = None if data is None else read_sample(data)
    whole = None if sample is None or sample.is_cut else sample.path
    made = check_files(name, yaml=yaml, python=python, data=whole)
    write_model_files(name, folder, yaml=yaml, python=python)
    return NewModel(
        name,
        (f"include/models/{name}.yaml", f"include/models/{name}.py"),
        tuple(_kept(made, config)),
        ("whether owner, schedule, gates and description are this model's too",),
    )


def _renamed(text: str, name: str, original: str, others: set[str]) -> str:
    """Return a YAML text in which a model has another name: in its addresses, salt and title.

    Nowhere else: a column may be called like the model, and a folder like another model.
    """
    words = re.sub(
        rf"(?<=/){original}(?P<more>_[a-z0-9_]+)?(?![A-Za-z0-9_])",
        lambda place: place[0] if place[0] in others else f"{name}{place['more'] or ''}",
        text,
    )
    for old, new in ((original, name), (original.replace("_", "-"), name.replace("_", "-"))):
        words = re.sub(rf"(?m)^( +salt: *[\"']?){old}(?![a-z0-9_])", rf"\g<1>{new}", words)
    words = re.sub(r"(?m)^name:.*$", f"name: {yaml_word(name)}", words)
    title = default_title(name)
    words, found = re.subn(r"(?m)^title:.*$", f"title: {yaml_word(title)}  # CHECK", words)
    if found != 1 or parse_model(words, where=f"include/models/{name}.yaml").title != title:
        raise ConfigError(
            f"include/models/{original}.yaml: its title must be one line of its own to be replaced"
        )
    return words


def _importing(name: str, original: str, entry_point: str) -> str:
    names = sorted({"Contract", "FEATURES", entry_point}, key=_import_order)
    quoted = ", ".join(f'"{word}"' for word in names)
    return (
        f'"""{default_title(name)}: contract, features and estimator are those of '
        f'`{original}`."""\n\n'
        "from __future__ import annotations\n\n"
        f"from include.models.{original} import {', '.join(names)}\n\n"
        f"__all__ = [{quoted}]\n"
    )


def _import_order(word: str) -> tuple[int, str]:
    """Return where a name stands in an import as the linter sorts it."""
    rank = 0 if word.isupper() else 1 if word[0].isupper() else 2
    return rank, word


def _kept(made: ModelConfig, original: ModelConfig) -> list[str]:
    """Return in words what the new model shares with the other, and what it has of its own."""
    places = {
        "flag": (made.trigger.flag, original.trigger.flag),
        "location": (made.data.location, original.data.location),
    }
    shared = [field for field, (new, old) in places.items() if new == old]
    lines = [
        f"like {original.name}: contract, features and estimator are imported from it",
        f"flag: {made.trigger.flag}",
        f"location: {made.data.location}",
    ]
    if shared:
        lines.append(f"{' and '.join(shared)}: the same as {original.name}'s: is that meant?")
    return lines
