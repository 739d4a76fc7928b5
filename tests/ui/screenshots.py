"""`python -m tests.ui.screenshots`: take the documents' pictures of the pages anew."""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import quote

from playwright.sync_api import Browser, Page, sync_playwright

from include.retraining.decisions.records import decisions
from include.retraining.store.layout import RunPaths
from tests.support.large_store import crowded_store
from tests.support.repository_copy import REPOSITORY, add_model, copy_repository
from tests.support.ui_site import Site, launch, site

IMAGES = REPOSITORY / "docs" / "images"
WIDE = {"width": 1360, "height": 1020}
PHONE = {"width": 390, "height": 844}
SHOWN = "churn"
"""The model whose page is shown."""
ADDED = {
    SHOWN: {"title": "Churn of subscribers", "owner": "growth"},
    "delivery_time": {"title": "Delivery time", "owner": "logistics"},
    "fraud": {"title": "Card fraud", "owner": "payments"},
    "lead_score": {"title": "Lead score", "owner": "growth"},
    "spam": {"title": "Spam", "owner": "support"},
}
"""Models beside the shipped ones, in the order of what the crowded store makes of them."""
NAMES = ("loan_approval", SHOWN, "fraud", "delivery_time", "lead_score", "loan_approval_r", "spam")


def main() -> int:
    """Take every picture."""
    with tempfile.TemporaryDirectory(prefix="screenshots-") as made:
        folder = Path(made)
        root = copy_repository(folder / "repository")
        for name, values in ADDED.items():
            add_model(root, name, like="loan_approval", values=values)
        names = (*NAMES, "diabetes_progression")
        store = crowded_store(
            (folder / "store").as_uri(),
            models=len(names),
            decisions=len(names) * 40,
            first=names,
            has_markup=False,
        )
        with site(folder / "airflow", store, root) as running, sync_playwright() as playwright:
            browser = launch(playwright)
            _take_in_airflow(running, browser, "light", ("models", "model"))
            _take_in_airflow(running, browser, "dark", ("model",))
            _take_in_airflow(running, browser, "light", ("run",))
            context = running.context(browser, "user", viewport=PHONE)
            page = context.new_page()
            page.goto(f"{running.url}/retraining/models")
            _save(page, "models-phone.png")
            context.close()
            browser.close()
    return 0


def _take_in_airflow(running: Site, browser: Browser, theme: str, pictures: Sequence[str]) -> None:
    context = running.context(browser, "user", viewport=WIDE, color_scheme=theme)
    context.add_init_script(f"localStorage.setItem('theme', '{theme}')")
    page = context.new_page()
    places = {
        "models": lambda: "/plugin/models",
        "model": lambda: f"/dags/retrain_{SHOWN}/plugin/model",
        "run": lambda: _run_with_card(running),
    }
    for name in pictures:
        page.goto(f"{running.url}{places[name]()}")
        page.frame_locator("iframe").get_by_role("heading").first.wait_for()
        page.wait_for_load_state("networkidle")
        _save(page, f"{name}.png" if theme == "light" else f"{name}-{theme}.png")
    context.close()


def _run_with_card(running: Site) -> str:
    """Make a run that has the example's model card, and return our tab on its page."""
    model = NAMES[0]
    run_id = running.run_with_record(model)
    record = next(decisions(running.store, model))
    folder = RunPaths(model, record.run).card
    for file in (REPOSITORY / "docs" / "example").glob("*.*"):
        if file.suffix in {".md", ".png"}:
            running.store.write(f"{folder}/{file.name}", file.read_bytes())
    return f"/dags/{record.dag_id}/runs/{quote(run_id, safe='')}/plugin/decision"


def _save(page: Page, name: str) -> None:
    page.screenshot(path=IMAGES / name)
    print(f"docs/images/{name}")  # noqa: T201 a command


if __name__ == "__main__":
    sys.exit(main())
