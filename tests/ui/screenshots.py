"""`python -m tests.ui.screenshots`: take the documents' pictures of the pages anew."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from playwright.sync_api import Browser, Page, sync_playwright

from include.local_airflow.repository_copy import REPOSITORY
from tests.ui.site import SHIPPED, Site, launch, site

IMAGES = REPOSITORY / "docs" / "images"
WIDE = {"width": 1440, "height": 900}
PHONE = {"width": 390, "height": 844}


def main() -> int:
    """Take every picture."""
    with (
        tempfile.TemporaryDirectory(prefix="screenshots-") as folder,
        site(Path(folder), models=12, decisions=480) as running,
        sync_playwright() as playwright,
    ):
        browser = launch(playwright)
        for theme in ("light", "dark"):
            _take(running, browser, theme)
        browser.close()
    return 0


def _take(running: Site, browser: Browser, theme: str) -> None:
    ending = "" if theme == "light" else "-dark"
    context = running.context(browser, "user", viewport=WIDE, color_scheme=theme)
    context.add_init_script(f"localStorage.setItem('theme', '{theme}')")
    page = context.new_page()
    _framed(page, f"{running.url}/plugin/models", f"models{ending}.png")
    _framed(page, f"{running.url}/dags/retrain_{SHIPPED[1]}/plugin/model", f"model{ending}.png")
    context.close()
    if theme == "light":
        context = running.context(browser, "user", viewport=PHONE, device_scale_factor=2)
        page = context.new_page()
        page.goto(f"{running.url}/retraining/models")
        _save(page, "models-phone.png")
        context.close()


def _framed(page: Page, address: str, name: str) -> None:
    page.goto(address)
    page.frame_locator("iframe").get_by_role("heading").first.wait_for()
    page.wait_for_load_state("networkidle")
    _save(page, name)


def _save(page: Page, name: str) -> None:
    page.screenshot(path=IMAGES / name)
    print(f"docs/images/{name}")  # noqa: T201 a command


if __name__ == "__main__":
    sys.exit(main())
