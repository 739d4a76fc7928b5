from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Callable

import numpy as np
import pytest

from include.retraining.exceptions import EvidenceError
from include.retraining.formatting.markdown import code, escaped, table
from include.retraining.gate.rules import judge
from include.retraining.gate.verdict import Verdict
from include.retraining.model_card.render import write_card
from include.retraining.monitoring.delivery_grade import grade_champion
from include.retraining.runs.job import Job
from include.retraining.store.layout import grade_key
from tests.support.toy_models import Toy, make_frame, model_file

MakeToy = Callable[..., Toy]

EVERYTHING = {
    "data": {"protected": [{"name": "sex", "column": "sex", "labels": {"0": "f", "1": "m"}}]},
    "gates": {
        "metric": "roc_auc",
        "report": ["accuracy"],
        "slices": [{"column": "region", "minimum": 0.5}],
        "fairness": [{"attribute": "sex", "min_disparate_impact": 0.8}],
    },
}
PNG = b"\x89PNG\r\n"


def card_of(toy: Toy, job: Job) -> tuple[str, dict[str, bytes], Verdict]:
    """Judge a run, write its card, and return the text, the pictures and the verdict."""
    report = toy.report(job)
    verdict = judge(report, toy.config.gates, report_digest=report.content_digest)
    key = write_card(toy.store, job.paths, job.manifest, verdict)
    assert key == f"{job.paths.card}/card.md"
    stored = toy.store.objects(job.paths.card)
    pictures = {
        info.key.rsplit("/", 1)[-1]: toy.store.read(info.key)
        for info in stored
        if info.key.endswith(".png")
    }
    return toy.store.read(key).decode(), pictures, verdict


PICTURES = {
    "binary": {"confusion_matrix.png", "roc.png", "precision_recall.png", "calibration.png"},
    "multiclass": {"confusion_matrix.png"},
    "regression": {"actual_predicted.png", "residuals.png"},
}


@pytest.mark.parametrize("problem", list(PICTURES))
def test_every_kind_of_model_has_its_card(make_toy: MakeToy, problem: str):
    """The card links exactly the pictures that lie beside it, and they are pictures."""
    toy = make_toy(problem)
    job, _ = toy.run()
    text, pictures, _ = card_of(toy, job)
    assert set(pictures) == PICTURES[problem]
    assert set(re.findall(r"!\[[^]]*\]\(([^)]*)\)", text)) == set(pictures)
    assert all(picture.startswith(PNG) for picture in pictures.values())


def test_a_card_holds_what_a_reader_asks(make_toy: MakeToy):
    """Purpose, verdict, gates with their numbers, scores of everyone, groups, data and making."""
    toy = make_toy(**EVERYTHING)
    toy.promote(*toy.run())
    toy.write_model(model_file("binary", "LogisticRegression(C=0.5)"))
    job, report = toy.run()
    text, pictures, verdict = card_of(toy, job)
    assert "slices.png" in pictures
    for heading in ("Purpose", "Decision", "Scores", "Slices", "Fairness", "Limits", "Data"):
        assert f"\n## {heading}\n" in text
    assert f"**{verdict.answer.value.upper()}**: " in text
    for gate in verdict.gates:
        assert escaped(gate.reason) in text
    assert f"| Metric | Challenger | Champion `{report.champion.serving.version}` | Naive" in text
    assert f"{report.challenger.metrics['accuracy']:.3f}"[:4] in text
    assert "95 % between" in text
    assert job.manifest.delivery.files[0].sha256[:16] in text
    assert job.manifest.fingerprint in text
    assert "**tests**" in text, "the owner"
    assert f"reproduce {job.manifest.run}" in text


def test_a_card_says_what_the_champion_kept(make_toy: MakeToy):
    """The champion's grade by the same delivery, in a sentence; none before there is one."""
    toy = make_toy()
    first, report = toy.run()
    toy.promote(first, report)
    later = make_frame("binary", 600, seed=1)
    toy.deliver(later.assign(id=later["id"] + 100_000))
    job, _ = toy.run()
    assert "What the champion kept" not in card_of(toy, job)[0]
    grade = grade_champion(job)
    assert grade is not None
    card = card_of(toy, job)[0]
    words = f"On the {grade.rows} rows of this delivery that it never saw, the champion, version"
    assert words in card
    assert "no worse than chance explains" in card
    toy.store.write(grade_key(toy.name, "delivery", grade.window, grade.version), b"{")
    assert "The champion's grade cannot be read" in card_of(toy, job)[0]


def test_a_margin_that_cannot_be_met_is_told(make_toy: MakeToy):
    """The card says that no equal version could pass, and what the naive baseline says."""
    toy = make_toy(gates={"champion": {"margin": 0.001}})
    toy.promote(*toy.run())
    toy.write_model(model_file("binary", "LogisticRegression(C=0.5)"))
    job, _ = toy.run()
    text, _, _ = card_of(toy, job)
    assert "Against the champion, an equal version could not pass: the interval is" in text
    assert "The naive baseline says the most frequent training label." in text


def test_a_champion_that_could_not_be_scored_is_explained(make_toy: MakeToy):
    """The card says why there is no comparison."""
    toy = make_toy()
    first, report = toy.run()
    toy.promote(first, report)
    toy.store.delete(f"models/{toy.name}/versions/{first.manifest.version}/manifest.json")
    toy.write_model(model_file("binary", "LogisticRegression(C=0.5)"))
    job, _ = toy.run()
    text, _, _ = card_of(toy, job)
    assert "Against the champion it could not be compared: " in text
    assert "there is no version" in text


HOSTILE = (
    "](javascript:x) <script>a</script> | **bold** `tick` https://evil.example www.evil.example"
)


def test_data_cannot_write_markup_into_the_card(make_toy: MakeToy):
    """Values from data are shown as they are: no link, no HTML, no cell too many."""
    toy = make_toy(**EVERYTHING)
    frame = make_frame("binary")
    frame["region"] = np.where(frame["region"] == "north", HOSTILE, "south\n\n# Heading")
    toy.deliver(frame)
    job, _ = toy.run()
    text, pictures, _ = card_of(toy, job)
    assert "slices.png" in pictures
    assert "<script>" not in text
    assert "https://evil" not in text
    assert not re.search(r"(?<!\\)\]\(javascript", text)
    assert "\n# Heading" not in text
    rows = [line for line in text.splitlines() if line.startswith("| region = ")]
    assert len(rows) == 2
    assert all(len(re.split(r"(?<!\\)\|", row)) == 7 for row in rows)


def test_a_card_of_another_evaluation_is_refused(make_toy: MakeToy):
    """A verdict on another report makes no card."""
    toy = make_toy()
    job, report = toy.run()
    verdict = judge(report, toy.config.gates, report_digest="0" * 64)
    with pytest.raises(EvidenceError, match="another evaluation"):
        write_card(toy.store, job.paths, job.manifest, verdict)


def test_a_model_that_always_says_the_same_has_a_card(make_toy: MakeToy):
    """A challenger with one prediction for all still gets its card, under strict warnings."""
    toy = make_toy()
    toy.write_model(model_file("binary", "LogisticRegression(C=1e-9, class_weight={0: 9, 1: 1})"))
    job, _ = toy.run()
    text, pictures, _ = card_of(toy, job)
    assert "FAIL" in text
    assert "confusion_matrix.png" in pictures


def test_only_the_card_imports_matplotlib():
    """Training and evaluation do not pay for plots, nor for fairlearn before it is needed."""
    probe = (
        "import sys, include.retraining.steps.train, include.retraining.steps.evaluate; "
        "print([m for m in ('matplotlib', 'fairlearn', 'skops') if m in sys.modules])"
    )
    found = subprocess.run(
        [sys.executable, "-c", probe], capture_output=True, text=True, check=True
    )
    assert found.stdout.strip() == "[]"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("a_b*c", r"a\_b\*c"),
        ("<b>&", r"\<b\>&amp;"),
        ("a|b", r"a\|b"),
        ("one\ntwo", "one two"),
        ("x\u202e\x00y", "xy"),
        ("http://a", r"http:\//a"),
        ("WWW.a", r"www\.a"),
    ],
)
def test_text_is_escaped(text: str, shown: str):
    """Each character that Markdown reads is shown instead."""
    assert escaped(text) == shown


def test_code_cannot_be_left():
    """A name between backticks cannot end them or its table cell."""
    assert code("a`b|c\n") == "`a'b/c`"


def test_numbers_stand_to_the_right():
    """A column of numbers is aligned as one; a column with a word is not."""
    assert table(("a", "b"), [("1.5", "x"), ("-", "2")]).splitlines()[1] == "| ---: | --- |"
