"""The dossier of a champion: each statement is what a record holds, and gaps are named."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from include.retraining.decisions.record_files import decision_keys
from include.retraining.dossier.render import render, shown
from include.retraining.dossier.sections import Section, make_sections
from include.retraining.dossier.sources import Fact, Missing, read_sources
from include.retraining.exceptions import ArtifactError, NotFound
from include.retraining.monitoring.grade import Grade, Interval, write_grade
from include.retraining.registry.promotion import Registry
from include.retraining.store.layout import version_manifest_key
from include.retraining.store.marker import initialise
from include.retraining.store.object_store import Store
from tests.support.run_factory import (
    MODEL,
    run_ref,
    version_name,
)


def facts(sections: tuple[Section, ...]) -> list[Fact]:
    """Return every statement."""
    return [item for section in sections for item in section.items if isinstance(item, Fact)]


def missing(sections: tuple[Section, ...]) -> list[str]:
    """Return every part that is missing."""
    return [
        item.what for section in sections for item in section.items if isinstance(item, Missing)
    ]


def at_pointer(document: Any, pointer: str) -> Any:
    """Return what a JSON pointer names (RFC 6901)."""
    for part in pointer.split("/")[1:]:
        name = part.replace("~1", "/").replace("~0", "~")
        document = document[int(name)] if isinstance(document, list) else document[name]
    return document


def test_each_statement_is_in_the_record_that_it_names(store: Store) -> None:
    """Its key is in the store, and its pointer leads to its value."""
    stated = facts(make_sections(read_sources(store, MODEL)))
    assert len(stated) > 60
    for fact in stated:
        assert at_pointer(json.loads(store.read(fact.key)), fact.pointer) == fact.value
    assert {fact.what for fact in stated} >= {"accuracy, this version", "accuracy, champion before"}


def test_each_statement_is_shown_with_its_record(store: Store) -> None:
    """A row has the value with all of its digits, the record's number and the place in it."""
    sources = read_sources(store, MODEL)
    sections = make_sections(sources)
    text = render(sources, sections)
    (rows,) = (
        fact
        for fact in facts(sections)
        if fact.what == "rows of the holdout" and fact.pointer == "/report/holdout/rows"
    )
    number = [source.key for source in sources.used].index(rows.key) + 1
    assert f"| {shown(rows.value)} | [{number}] `/report/holdout/rows` |" in text
    for source in sources.used:
        assert f"`{source.key}` | `{source.sha256}` |" in text


def test_what_no_record_holds_is_named(store: Store) -> None:
    """Every section of Annex IV is there, and the parts for the provider to write are listed."""
    sources = read_sources(store, MODEL)
    sections = make_sections(sources)
    gaps = missing(sections)
    assert "the system of risk management (Article 9)" in gaps
    assert "the EU declaration of conformity (Article 47)" in gaps
    text = render(sources, sections)
    assert all(f"## {section.number} {section.title}" in text for section in sections)
    assert f"{len(gaps)} parts missing" in text


def test_a_version_that_was_rolled_back_to_is_documented_by_the_run_that_judged_it(
    store: Store,
) -> None:
    """Its scores are those of its own promotion; that it serves again is the newest entry."""
    Registry(store, MODEL).rollback(version_name(1), actor="ada", reason="complaints", seen=2)
    sources = read_sources(store, MODEL)
    assert sources.entry.at("kind") == "rollback"
    assert sources.judged_entry.at("generation") == 1
    assert sources.decision.at("run_id") == run_ref(1).run_id
    assert sources.plan.at("version") == version_name(1)


def test_grades_are_stated(store: Store) -> None:
    """A score on later labels is stated with its interval, and that of another version is not."""
    gap = "what it scored on labels that came later"
    assert gap in missing(make_sections(read_sources(store, MODEL)))
    for number, value in ((1, 0.71), (2, 0.82)):
        made = Grade(
            model=MODEL,
            version=version_name(number),
            generation=number,
            source="delivery",
            window=f"2026112{number}T000000-run",
            date=f"2026-11-2{number}",
            judged_at=datetime(2026, 11, 29, tzinfo=UTC),
            metric="accuracy",
            rows=400,
            score=Interval.around(value, 0.01, 400),
        )
        write_grade(store, made)
    sections = make_sections(read_sources(store, MODEL))
    stated = {one.what: one for one in facts(sections) if "2026-11-2" in one.what}
    assert stated["labels of 2026-11-22 (delivery): score"].value == 0.82
    low = stated["labels of 2026-11-22 (delivery): score, lower end of its interval"]
    assert at_pointer(json.loads(store.read(low.key)), low.pointer) == low.value < 0.82
    assert len(stated) == 5
    assert gap not in missing(sections)


def test_a_lost_decision_record_is_a_gap_and_no_error(store: Store) -> None:
    """What it held is missing by name, and the version's own manifest still speaks."""
    store.delete(decision_keys(store, MODEL)[0])
    sections = make_sections(read_sources(store, MODEL))
    assert "rows of the holdout" in missing(sections)
    assert "rows that it was trained on" in {fact.what for fact in facts(sections)}


def test_an_altered_version_is_not_documented(store: Store) -> None:
    """A manifest with another digest than the promotion log names is an error."""
    key = version_manifest_key(MODEL, version_name(2))
    store.write(key, store.read(key).replace(b'"train_rows": 1000', b'"train_rows": 9000'))
    with pytest.raises(ArtifactError, match="altered"):
        read_sources(store, MODEL)


def test_nothing_to_document(tmp_path: Path) -> None:
    """A model without a champion has no dossier."""
    with pytest.raises(NotFound, match="has no champion yet"):
        read_sources(initialise(f"file://{tmp_path}", {}), MODEL)
