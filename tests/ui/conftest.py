"""One Airflow and one browser for all: both take their time to start."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, sync_playwright

from tests.support.ui_site import Site, crowded_site, launch


@pytest.fixture(scope="session")
def airflow_ui(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """Airflow's UI with 50 models and 2,000 decisions."""
    with crowded_site(tmp_path_factory.mktemp("site")) as running:
        yield running


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """Debian's Chromium, without a window."""
    with sync_playwright() as playwright:
        started = launch(playwright)
        yield started
        started.close()


@pytest.fixture
def page(airflow_ui: Site, browser: Browser) -> Iterator[Page]:
    """A window of a user, who may start runs."""
    context = airflow_ui.context(browser, "user")
    yield context.new_page()
    context.close()


@pytest.fixture
def viewer_page(airflow_ui: Site, browser: Browser) -> Iterator[Page]:
    """A window of a viewer, who may look."""
    context = airflow_ui.context(browser, "viewer")
    yield context.new_page()
    context.close()
