"""The chart of what was promised and kept, on a model's page."""

from __future__ import annotations

import re

from include.pages.kept_promises import kept_promises
from include.retraining.registry.promotion import Registry
from include.retraining.store.layout import grade_key
from include.retraining.store.object_store import Store
from tests.include.pages.conftest import Reader
from tests.support.planted_grades import plant_grades
from tests.support.run_factory import MODEL, decide, plant_run


def plant(store: Store, *scores: float | None) -> None:
    """Promote a version, and let deliveries grade it."""
    decide(store, plant_run(store, 1))
    plant_grades(store, Registry(store, MODEL).log.entry(1), *scores)


def test_each_score_stands_beside_its_promise(empty: Store) -> None:
    """A dot with its interval and a step for each; one without a score is in the table only."""
    plant(empty, 0.84, None, 0.70)
    kept = kept_promises(empty, MODEL, "/retraining")
    assert (len(kept.grades), kept.metric, kept.problem) == (3, "roc auc", None)
    assert kept.chart.count("<circle") == kept.chart.count('class="interval"') == 2
    assert kept.chart.count('<line class="promised"') == 2
    assert "scored 0.70 by version" in kept.chart
    run = kept.grades[-1].window
    assert f'href="/retraining/models/{MODEL}/runs/{run}"' in kept.chart


def test_another_version_is_marked(empty: Store) -> None:
    """Where the graded version changes, so does the promise; the chart says where."""
    plant(empty, 0.84, 0.85)
    decide(empty, plant_run(empty, 2))
    plant_grades(empty, Registry(empty, MODEL).log.entry(2), 0.9, promised=0.9, first=2)
    chart = kept_promises(empty, MODEL, "/retraining").chart
    assert chart.count('<g class="event promoted">') == 1


def test_the_page_says_which_promise_was_not_kept(user: Reader, empty: Store) -> None:
    """The table has each answer in words, with the reason where there is no score."""
    plant(empty, 0.84, None, 0.70)
    page = user.get(f"/models/{MODEL}").text
    section = page[page.index("Promised and kept") : page.index("Promotion log")]
    words = " ".join(re.sub(r"<[^>]+>", " ", section).split())
    assert words.count("worse than promised") == 1
    assert words.count("cannot judge: 3 rows are new to it") == 1
    assert "0.8204 to 0.8596" in words
    assert "two in a row" in words


def test_a_damaged_grade_leaves_the_rest_of_the_page(user: Reader, empty: Store) -> None:
    """What cannot be read is named, and everything else is shown."""
    plant(empty, 0.84)
    grade = kept_promises(empty, MODEL, "").grades[0]
    empty.write(grade_key(MODEL, "delivery", grade.window, grade.version), b"{")
    page = user.get(f"/models/{MODEL}")
    assert page.status_code == 200
    assert "The grades cannot be read" in page.text
    assert "Promotion log" in page.text
