from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from include.retraining.exceptions import EvidenceError
from include.retraining.gate.importance import ColumnImportance, Importances, Loss
from include.retraining.gate.rules import judge
from include.retraining.model_card.importances import (
    importance_lines,
    importances_table,
    read_importances,
)
from include.retraining.model_card.render import write_card
from tests.support.toy_models import Toy

MakeToy = Callable[..., Toy]


def loss(value: float) -> Loss:
    """A loss with an interval of 0.1 to both sides."""
    return Loss(value=value, lower=value - 0.1, upper=value + 0.1)


def column(name: str, challenger: float, champion: float | None) -> ColumnImportance:
    """A column of two versions, or of one."""
    return ColumnImportance(
        column=name,
        challenger=loss(challenger),
        champion=None if champion is None else loss(champion),
        change=None if champion is None else loss(challenger - champion),
    )


def stored(*columns: ColumnImportance, **more: Any) -> Importances:
    """What an evaluation left."""
    return Importances(
        run_id="manual__1",
        report_digest="d" * 64,
        metric="roc_auc",
        rows=500,
        repeats=3,
        columns_read=20,
        columns=columns,
        seconds=0.1,
        evaluation_seconds=2.0,
    ).model_copy(update=more)


def test_the_card_shows_what_the_columns_are_worth(make_toy: MakeToy):
    """The table, how it was measured, and how it is read, in a section of their own."""
    toy = make_toy()
    job = toy.plan()
    toy.train(job)
    toy.evaluate(replace(job, started=job.started - 60))
    report = toy.report(job)
    verdict = judge(report, toy.config.gates, report_digest=report.content_digest)
    text = toy.store.read(write_card(toy.store, job.paths, job.manifest, verdict)).decode()
    section = text.partition("\n## Columns that matter\n")[2].partition("\n## ")[0]
    assert "How much worse accuracy gets when the values of a column" in section
    assert "| Column | Challenger | 95 % interval |" in section
    assert "| `a` | +0." in section
    assert "no cause" in section


def test_a_card_without_them_has_no_such_section(make_toy: MakeToy):
    """An evaluation of before they were measured, or one of another attempt, has none."""
    toy = make_toy()
    job, report = toy.run()
    toy.store.write(job.paths.importances, stored().to_bytes())
    assert read_importances(toy.store, job.paths, report.content_digest) is None
    toy.store.delete(job.paths.importances)
    verdict = judge(report, toy.config.gates, report_digest=report.content_digest)
    text = toy.store.read(write_card(toy.store, job.paths, job.manifest, verdict)).decode()
    assert "Columns that matter" not in text
    toy.store.write(job.paths.importances, b"{}")
    with pytest.raises(EvidenceError, match=r"importances\.json"):
        read_importances(toy.store, job.paths, report.content_digest)


def test_the_change_against_the_champion_stands_beside_it():
    """Each column has its change with an interval, and the sentence names those beyond it."""
    found = stored(column("up", 0.5, 0.1), column("same", 0.3, 0.3), column("down", 0.0, 0.4))
    assert "| `up` | +0.500 | +0.400 to +0.600 | +0.100 | +0.400 | +0.300 to +0.500 |" in (
        importances_table(found)
    )
    _, changed = importance_lines(found)
    assert changed == (
        "Of the challenger's score, more comes from `up` and less comes from `down` than of the "
        "champion's."
    )
    _, nothing = importance_lines(stored(column("same", 0.3, 0.3)))
    assert nothing == "Against the champion, no column's importance changed beyond its interval."


def test_what_is_missing_is_said():
    """Why there are none at all, and why there are none of the champion."""
    none = stored(not_measured="it predicts by a command")
    assert importance_lines(none) == ["Not measured: it predicts by a command."]
    assert importances_table(none) == ""
    alone = stored(column("a", 0.5, None), champion_not_measured="it is gone")
    assert importance_lines(alone)[1] == "Of the champion, not measured: it is gone."
    assert "Champion" not in importances_table(alone)


def test_the_numbers_have_the_decimals_of_the_greatest_one():
    """Three digits of the greatest loss, and no more of any other, nor a minus before a zero."""
    large = stored(column("a", 1234.5, None), column("b", -0.00002, None), columns_read=2)
    assert "| `a` | +1,234 | +1,234 to +1,235 |" in importances_table(large)
    assert "| `b` | +0 | +0 to +0 |" in importances_table(large)
    small = stored(column("b", -0.00002, None), column("a", 0.0312, None), columns_read=2)
    assert "| `b` | +0.0000 |" in importances_table(small)


def test_a_card_says_of_how_many_columns_and_rows_it_speaks():
    """All of them, its only one, or those that move the predictions most."""
    some, all_, only = (
        importance_lines(stored(column("a", 0.5, None), **more))[0]
        for more in (
            {},
            {"columns": (column("a", 0.5, None),) * 2, "columns_read": 2},
            {"columns_read": 1, "repeats": 1},
        )
    )
    assert "for the 1 of 20 columns that move the predictions most: 3 shuffles" in some
    assert "for all 2 columns: 3 shuffles of each on 500 rows" in all_
    assert "for its only column: one shuffle of each on 500 rows" in only


def test_a_column_cannot_write_markup():
    """A column's name is shown as it is."""
    assert "| `a/b` |" in importances_table(stored(column("a|b", 0.1, None)))
