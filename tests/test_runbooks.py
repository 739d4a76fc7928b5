"""Runbooks: every event that asks for something has a page, and each page works as written."""

from __future__ import annotations

import ast
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from include.retraining.decisions.record import Outcome
from include.retraining.exceptions import NotSent
from include.retraining.history.verify import verify
from include.retraining.notifications.decision_notice import (
    _CAUSE_PAGES,
    _MESSAGES,
    CAUSES,
    NOTHING_TO_DO,
)
from include.retraining.notifications.notice import Notice
from include.retraining.notifications.outbox import deliver
from include.retraining.registry.promotion import Registry
from include.retraining.registry.promotion_log import PromotionLog
from include.retraining.steps.close_run import close_run
from include.retraining.store.layout import promotion_key
from include.retraining.store.marker import initialise
from include.retraining.store.object_store import Store
from include.retraining.watch.conditions import CONDITIONS
from include.retraining.watch.heartbeat import write_heartbeat
from tests.include.retraining.notifications.test_outbox import make_notice
from tests.support import run_factory
from tests.support.command_line import parse

ROOT = Path(__file__).resolve().parents[1]
PAGES = ROOT / "docs" / "runbooks"
NAMES = sorted({file.stem for file in PAGES.glob("*.md")} - {"README"})
MODEL = "loan_approval"  # the model that the pages name
NAMING_A_PAGE = {
    "alert": "runbook",
    "Alarm": "runbook",
    "_Change": "runbook",
    "failure_alert": "event",
}
"""What makes a message, and the argument in which its page is named."""


def pages_in(file: Path) -> set[str]:
    """Return the pages that the alerts of a source file name, where the code says it in a word."""
    tree = ast.parse(file.read_text())
    words = {
        target.id: node.value.value
        for node in tree.body
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Constant)
        for target in node.targets
        if isinstance(target, ast.Name)
    }
    found: set[str] = set()
    for call in ast.walk(tree):
        if isinstance(call, ast.Call) and (name := getattr(call.func, "id", "")) in NAMING_A_PAGE:
            page = NAMING_A_PAGE[name]
            for given in (word.value for word in call.keywords if word.arg == page):
                if isinstance(given, ast.Constant):
                    found.add(str(given.value))
                elif isinstance(given, ast.Name) and given.id in words:
                    found.add(str(words[given.id]))
    return found - {""}


def asked() -> frozenset[str]:
    """Return the pages that messages name: the source of everything is read for it."""
    decided = {text.event for text in _MESSAGES.values()} - NOTHING_TO_DO
    sources = [*(ROOT / "include").rglob("*.py"), *(ROOT / "plugins").rglob("*.py")]
    in_words = {page for file in sources for page in pages_in(file)}
    known = decided | {"card"} | set(CONDITIONS) | set(_CAUSE_PAGES.values())
    return frozenset(known | in_words)


def test_every_event_that_asks_for_something_has_a_page() -> None:
    """A message never sends a person to a page that is not there, and no page is out of use."""
    wanted = asked()
    assert {"approval", "broken", "outbox", "store"} <= wanted
    assert set(NAMES) == wanted


def test_the_list_of_pages_is_complete() -> None:
    """Whoever opens the folder finds each page in its list."""
    listed = set(re.findall(r"\]\((\w+)\.md\)", (PAGES / "README.md").read_text()))
    assert listed == set(NAMES)


def commands_in(text: str) -> list[str]:
    """Return the commands of ours between backticks, on one line each."""
    flat = " ".join(text.split())
    return re.findall(r"`python -m include\.retraining ([^`]+)`", flat)


@pytest.mark.fault("O06")
@pytest.mark.parametrize("page", NAMES)
def test_every_command_named_in_a_text_is_one(page: str) -> None:
    """A command that a page names between its lines can be typed."""
    for command in commands_in((PAGES / f"{page}.md").read_text()):
        parse(command)


def test_every_command_named_in_a_message_is_one() -> None:
    """The one next step of a message can be typed as it stands."""
    steps = [text.step for text in _MESSAGES.values()] + [step for _, step in CAUSES.values()]
    filled = [
        step.format(model=MODEL, version="v", previous="p", task="t", dag_id="d") for step in steps
    ]
    commands = [command for step in filled for command in commands_in(step)]
    assert len(commands) >= 4
    for command in commands:
        parse(command)


@pytest.fixture
def store(folder_store: Store, monkeypatch: pytest.MonkeyPatch) -> Store:
    """Two versions served, one was refused, a run broke, a person rolled back, Slack is down."""
    monkeypatch.setattr(run_factory, "MODEL", MODEL)
    store = initialise(folder_store.uri, {})
    for number in (1, 2):
        run = run_factory.plant_run(
            store, number, report={"model": MODEL}, model_bytes=run_factory.saved_model()
        )
        run_factory.decide(store, run)
    refused = {"model": MODEL, "challenger.metrics.roc_auc": 0.5}
    run_factory.decide(store, run_factory.plant_run(store, 3, report=refused))
    broken = run_factory.plant_run(store, 4, version=False, evaluated=False)
    close_run(store, broken, Outcome.FAILED, "train: out of memory", failed_task="train_model")
    write_heartbeat(store, [])
    Registry(store, MODEL).rollback(run_factory.version_name(1), actor="ada", reason="complaints")

    def down(notice: Notice) -> None:
        raise NotSent("Slack answered 503")

    with pytest.raises(NotSent):
        deliver(store, make_notice(), down)
    return store


@pytest.mark.fault("O06")
@pytest.mark.parametrize("page", NAMES)
def test_a_page_works_as_written(store: Store, page: str) -> None:
    """Each command of a page, typed as it stands, does what it says."""
    blocks = re.findall(r" *```sh\n(.*?)```", (PAGES / f"{page}.md").read_text(), re.DOTALL)
    assert blocks
    if page == "promotion_log":
        store.write(promotion_key(MODEL, 3), b"{")
    for block in blocks:
        done = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", block],
            cwd=ROOT,
            env={
                "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
                "HOME": os.environ.get("HOME", "/"),
                "RETRAINING_STORE": store.uri,
                "RUN": run_factory.run_ref(4).run_id,
                "VERSION": run_factory.version_name(2),
            },
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert done.returncode == 0, f"{block}\n{done.stdout}\n{done.stderr}"
        assert done.stdout.strip()
    if page == "held":
        assert PromotionLog(store, MODEL).hold() is None
    if page == "promotion_log":
        check = verify(store, MODEL)
        assert (check.entries, check.problems) == (2, ())
    if page == "outbox":
        assert "Slack answered 503" in done.stdout
