"""The pages in a browser, within the UI of a real API server, as people of each role see them."""

from __future__ import annotations

import re
from urllib.parse import quote

import pytest
from playwright.sync_api import Browser, ConsoleMessage, Dialog, FrameLocator, Page, expect

from include.pages.app import app
from include.retraining.decisions.records import decisions
from include.retraining.registry.promotion_log import PromotionLog
from include.retraining.store.layout import RunPaths
from tests.support.fab_users import ANSWER_SECONDS
from tests.support.large_store import DECISIONS, MODELS, SCRIPT
from tests.support.repository_copy import REPOSITORY
from tests.support.ui_site import ONE_MODEL, SHIPPED, Site

pytestmark = [pytest.mark.ui, pytest.mark.timeout(900)]

LOAN = SHIPPED[0]
EXAMPLE = REPOSITORY / "docs" / "example"
expect.set_options(timeout=ANSWER_SECONDS * 1000)
WIDE_CARD = f"""
```sh
python -m include.retraining reproduce {"a-run-with-a-long-name-" * 6}
```

{"| column " * 20}|
{"|---" * 20}|
{"| 0.12345 " * 20}|
"""


def models(page: Page, site: Site) -> FrameLocator:
    """Open the list of models within Airflow's UI."""
    page.goto(f"{site.url}/plugin/models")
    frame = page.frame_locator("iframe[title=Models]")
    expect(frame.get_by_role("heading", name="Models")).to_be_visible()
    return frame


def complaints(page: Page) -> list[str]:
    """What the browser complains of, from now on, about our pages."""
    found: list[str] = []

    def note(message: ConsoleMessage) -> None:
        where = message.location.get("url", "")
        if message.type == "error" and "/retraining/" in f"{where}{message.text}":
            found.append(message.text)

    page.on("console", note)
    page.on("pageerror", lambda error: found.append(str(error)))
    return found


def test_fifty_models_are_listed(page: Page, airflow_ui: Site) -> None:
    """By the navigation: all, what needs a person first; the browser complains of nothing."""
    found = complaints(page)
    page.goto(f"{airflow_ui.url}/dags")
    page.get_by_role("link", name="Models", exact=True).click()
    frame = page.frame_locator("iframe[title=Models]")
    expect(frame.locator("table.models tbody tr")).to_have_count(MODELS)
    ranks = [
        int(str(row.get_attribute("class"))[1:])
        for row in frame.locator("table.models tbody tr").all()
    ]
    assert ranks == sorted(ranks)
    assert found == []


def test_a_model_and_its_decisions_are_a_click_away(page: Page, airflow_ui: Site) -> None:
    """From the list to a model, to a run, and out to Airflow's page of that run."""
    frame = models(page, airflow_ui)
    frame.locator(f'a[href$="/models/{LOAN}"]').click()
    expect(frame.locator("article.decision")).to_have_count(DECISIONS // MODELS)
    expect(frame.locator("svg.chart")).to_be_visible()
    frame.locator("article.decision .head a").first.click()
    expect(frame.get_by_role("heading", name=re.compile("^Run of"))).to_be_visible()
    record = next(decisions(airflow_ui.store, LOAN))
    frame.get_by_role("link", name="run in Airflow").click()
    page.wait_for_url(f"**/dags/{record.dag_id}/runs/**")


def test_a_script_in_a_reason_is_text(page: Page, airflow_ui: Site) -> None:
    """It is read and not run, in the list and on the model's page."""
    dialogs: list[Dialog] = []

    def note(dialog: Dialog) -> None:
        dialogs.append(dialog)
        dialog.dismiss()

    page.on("dialog", note)
    frame = models(page, airflow_ui)
    expect(frame.get_by_text(SCRIPT).first).to_be_visible()
    frame.locator(f'a[href$="/models/{LOAN}"]').click()
    expect(frame.get_by_text(SCRIPT).first).to_be_visible()
    assert dialogs == []


def test_a_rollback_opens_airflows_form_filled_in(page: Page, airflow_ui: Site) -> None:
    """The model is chosen, the dry run is on, and nothing is sent before the reason is there."""
    frame = models(page, airflow_ui)
    frame.locator(f'a[href$="/models/{LOAN}"]').click()
    frame.get_by_role("link", name="Roll back …").click()
    page.wait_for_url("**/dags/rollback_model*")
    expect(page.locator('input[type=hidden][name="element_model"]')).to_have_value(LOAN)
    expect(page.locator('input[type=checkbox][name="element_dry_run"]')).to_be_checked()
    expect(page.get_by_test_id("trigger-dag-submit")).to_be_disabled()
    assert "fill=" not in page.url


def test_a_version_of_the_log_is_filled_in(page: Page, airflow_ui: Site) -> None:
    """Next to each entry is the way back to its version."""
    frame = models(page, airflow_ui)
    frame.locator(f'a[href$="/models/{LOAN}"]').click()
    link = frame.get_by_role("link", name="roll back to it …").first
    version = re.search("version%22%3A\\+%22([0-9a-f]+)", str(link.get_attribute("href")))
    assert version is not None
    link.click()
    expect(page.locator('[name="element_version"]')).to_have_value(version[1])


def test_a_dry_run_is_filled_in(page: Page, airflow_ui: Site) -> None:
    """The form says what that is; without it the same form stays as it comes."""
    for button, is_checked in (("Dry run …", True), ("Train now …", False)):
        frame = models(page, airflow_ui)
        frame.locator(f'a[href$="/models/{LOAN}"]').click()
        frame.get_by_role("link", name=button).click()
        page.wait_for_url(f"**/dags/retrain_{LOAN}*")
        box = page.locator('input[type=checkbox][name="element_dry_run"]')
        expect(box).to_be_checked(checked=is_checked)
        expect(page.get_by_text("the champion stays")).to_be_visible()


def test_what_was_filled_in_is_what_is_sent(page: Page, airflow_ui: Site) -> None:
    """A person adds the reason and sends it: the run has what the page asked for."""
    frame = models(page, airflow_ui)
    frame.locator(f'a[href$="/models/{LOAN}"]').click()
    frame.get_by_role("link", name="Roll back …").click()
    expect(page.locator('input[type=hidden][name="element_model"]')).to_have_value(LOAN)
    serves = PromotionLog(airflow_ui.store, LOAN).head()
    expect(page.locator('[name="element_generation"]')).to_have_value(str(serves))
    page.locator('[name="element_reason"]').fill("it refuses everyone")
    with page.expect_response(lambda answer: answer.url.endswith("/dagRuns")) as sent:
        page.get_by_test_id("trigger-dag-submit").click()
    answer = sent.value
    assert answer.ok, answer.text()
    assert answer.json()["conf"] == {
        "model": LOAN,
        "reason": "it refuses everyone",
        "version": None,
        "generation": serves,
        "dry_run": True,
    }


def test_a_viewer_sees_and_cannot_trigger(viewer_page: Page, airflow_ui: Site) -> None:
    """No button leads to a form, and Airflow refuses what is asked without one."""
    frame = models(viewer_page, airflow_ui)
    expect(frame.locator("table.models tbody tr")).to_have_count(MODELS)
    frame.locator(f'a[href$="/models/{LOAN}"]').click()
    expect(frame.get_by_text("You may look.")).to_be_visible()
    expect(frame.locator('a[href*="fill="]')).to_have_count(0)
    with airflow_ui.client("viewer") as client:
        answer = client.post(
            "/api/v2/dags/rollback_model/dagRuns",
            json={"logical_date": None, "conf": {"model": LOAN, "reason": "none"}},
        )
    assert answer.status_code == 403


def test_a_stranger_gets_401_on_every_route(airflow_ui: Site) -> None:
    """Over the real server, static files included."""
    places = {"model": LOAN, "run": "x", "file": "pages.css", "picture": "roc.png"}
    paths = [route.path for route in app.routes if hasattr(route, "methods")]  # type: ignore[attr-defined]
    assert len(paths) == 8
    with airflow_ui.client(None) as client:
        for path in paths:
            query = "?dag_id=retrain_loan_approval&run_id=x"
            answer = client.get(f"/retraining{path.format(**places)}{query}")
            assert answer.status_code == 401, path
        for path in ("/docs", "/redoc", "/openapi.json"):
            assert client.get(f"/retraining{path}").status_code in {401, 404}, path


def test_a_model_is_for_who_may_read_its_dag(airflow_ui: Site) -> None:
    """A role with the right on one DAG sees its model, in the list and by its address."""
    other = f"/retraining/models/{SHIPPED[1]}"
    run = next(decisions(airflow_ui.store, LOAN))
    hidden = (
        f"/retraining/models/{LOAN}",
        f"/retraining/models/{LOAN}/runs/{run.run}",
        f"/retraining/models/{LOAN}/runs/{run.run}/card/roc.png",
        f"/retraining/dag?dag_id={run.dag_id}",
        f"/retraining/run?dag_id={run.dag_id}&run_id={quote(run.run_id)}",
    )
    with airflow_ui.client(ONE_MODEL) as client:
        assert client.get(f"/api/v2/dags/{run.dag_id}").status_code == 403
        listed = client.get("/retraining/models").text
        assert re.findall(r'class="name">\s*<a href="([^"]+)"', listed) == [other]
        assert client.get(other).status_code == 200
        for path in hidden:
            answer = client.get(path)
            assert answer.status_code == 404, path
            assert f"there is no model &#39;{LOAN}&#39; that you may see" in answer.text, path
    with airflow_ui.client("viewer") as client:
        assert client.get(hidden[0]).status_code == 200


def test_tabs_on_a_dag_and_on_a_run(page: Page, airflow_ui: Site) -> None:
    """A DAG's page has its model, and a run's page its decision."""
    page.goto(f"{airflow_ui.url}/dags/retrain_{LOAN}")
    page.get_by_role("link", name="Model", exact=True).click()
    frame = page.frame_locator("iframe[title=Model]")
    expect(frame.get_by_role("heading", name="Decisions")).to_be_visible()
    run_id = airflow_ui.run_with_record(SHIPPED[1])
    page.goto(f"{airflow_ui.url}/dags/retrain_{SHIPPED[1]}/runs/{run_id}")
    page.get_by_role("link", name="Decision", exact=True).click()
    frame = page.frame_locator("iframe[title=Decision]")
    expect(frame.get_by_role("heading", name=re.compile("^Gates"))).to_be_visible()


def test_a_runs_plots_are_on_the_first_screen(airflow_ui: Site, browser: Browser) -> None:
    """Each is loaded and whole above the fold, and stands once; the gates come behind them."""
    run = next(one for one in decisions(airflow_ui.store, SHIPPED[2]) if one.verdict is not None)
    folder = RunPaths(SHIPPED[2], run.run).card
    for file in EXAMPLE.glob("*.*"):
        if file.suffix in {".md", ".png"}:
            airflow_ui.store.write(f"{folder}/{file.name}", file.read_bytes())
    context = airflow_ui.context(browser, "user", viewport={"width": 1280, "height": 800})
    page = context.new_page()
    page.goto(f"{airflow_ui.url}/retraining/models/{SHIPPED[2]}/runs/{run.run}")
    plots = page.locator(".plots img")
    expect(plots).to_have_count(5)
    for plot in plots.all():
        assert plot.evaluate("image => image.decode().then(() => image.naturalWidth)") > 300
        box = plot.bounding_box()
        assert box is not None
        assert box["y"] + box["height"] <= 800
    assert page.locator("main img").count() == 5
    assert page.locator("table.gates").count() == 1
    context.close()


def test_the_theme_is_airflows(airflow_ui: Site, browser: Browser) -> None:
    """Dark in Airflow is dark here, whatever the system wishes, and the other way round."""
    for theme, system in (("dark", "light"), ("light", "dark")):
        context = airflow_ui.context(browser, "user", color_scheme=system)
        context.add_init_script(f"localStorage.setItem('theme', '{theme}')")
        page = context.new_page()
        frame = models(page, airflow_ui)
        expect(frame.locator("html")).to_have_attribute("data-theme", theme)
        context.close()


def test_without_airflow_around_it_a_page_follows_the_system(
    airflow_ui: Site, browser: Browser
) -> None:
    """Opened by its own address, in a system that is dark."""
    context = airflow_ui.context(browser, "user", color_scheme="dark")
    page = context.new_page()
    page.goto(f"{airflow_ui.url}/retraining/models")
    colour = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert sum(map(int, re.findall(r"\d+", colour)[:3])) < 150, colour
    context.close()


def test_a_phone_needs_no_scrolling_to_the_side(airflow_ui: Site, browser: Browser) -> None:
    """For the list, a model, or a run with a card; what is wide in them scrolls by itself."""
    run = next(decisions(airflow_ui.store, LOAN)).run
    card = f"{RunPaths(LOAN, run).card}/card.md"
    airflow_ui.store.write(card, WIDE_CARD.encode())
    context = airflow_ui.context(browser, "user", viewport={"width": 390, "height": 800})
    page = context.new_page()
    for path in ("models", f"models/{LOAN}", f"models/{LOAN}/runs/{run}"):
        page.goto(f"{airflow_ui.url}/retraining/{path}")
        width = page.evaluate("document.documentElement.scrollWidth")
        assert width <= 390, path
    assert "reproduce" in page.locator("#card pre").inner_text()
    context.close()
