"""The pages, asked over HTTP within Airflow's API server."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime
from html import unescape
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from include.pages import store_access
from include.pages.app import app
from include.retraining.decisions.phrases import HAPPENED
from include.retraining.decisions.record_files import decision_keys
from include.retraining.decisions.records import decisions
from include.retraining.history.explain import why
from include.retraining.monitoring.drift import write_drift
from include.retraining.registry.promotion import Registry
from include.retraining.registry.promotion_log import PromotionLog
from include.retraining.store.layout import RunPaths, drift_key, promotion_key
from include.retraining.store.marker import initialise
from include.retraining.store.object_store import Store
from include.retraining.watch import heartbeat
from tests.include.pages.conftest import MODELS, Reader, connect
from tests.support.large_store import SCRIPT, crowded_store, damage
from tests.support.picky_auth import HIDDEN
from tests.support.planted_drifts import planted
from tests.support.planted_grades import plant_grades
from tests.support.run_factory import MODEL, decide, plant_run, version_name
from tests.support.s3_roles import s3_roles

LOAN, SECRET = MODELS
PLACES = {
    "model": LOAN,
    "run": "20260101T000000-x-00000000",
    "file": "pages.css",
    "picture": "a.png",
}
QUERIES = {
    "/dag": "?dag_id=retrain_loan_approval",
    "/run": "?dag_id=retrain_loan_approval&run_id=x",
}


def routes() -> list[Any]:
    """The routes of our app; more than none."""
    found = [route for route in app.routes if hasattr(route, "methods")]
    assert len(found) >= 8
    return found


def address(route: Any) -> str:
    """A path that a route answers."""
    return str(route.path.format(**PLACES)) + QUERIES.get(route.path, "")


def text_of(page: str) -> str:
    """What a reader sees of a page, on one line."""
    return " ".join(unescape(re.sub(r"<[^>]+>", " ", page)).split())


def model_names(page: str) -> list[str]:
    """The models that the list shows, from top to bottom."""
    return re.findall(r'class="name">\s*<a href="/retraining/models/([^"]+)"', page)


def test_nobody_gets_in_without_a_login(stranger: Reader, store: Store) -> None:
    """Every route answers 401, and the descriptions that FastAPI offers are off."""
    for route in routes():
        answer = stranger.get(address(route))
        assert answer.status_code == 401, route.path
        assert "Log in to Airflow and open this address again." in text_of(answer.text)
    for path in ("/docs", "/redoc", "/openapi.json"):
        assert stranger.get(path).status_code in {401, 404}, path


def test_a_login_opens_every_route(viewer: Reader, store: Store) -> None:
    """With one, none of them answers 401, so the test above is about the login."""
    for route in routes():
        assert viewer.get(address(route)).status_code in {200, 307, 404}, route.path


def test_nothing_can_be_changed() -> None:
    """No route takes anything but GET."""
    for route in routes():
        assert route.methods <= {"GET", "HEAD"}, route.path


def test_the_cookie_of_the_airflow_ui_is_a_login(
    airflow_app: Any, tokens: dict[str, str], store: Store
) -> None:
    """A frame in the UI sends no header, and gets its page."""
    reader = Reader(airflow_app, None)
    reader.client.cookies.set("_token", tokens["VIEWER"])
    assert reader.get("/models").status_code == 200


@pytest.mark.parametrize("path", ["/models", "/models/nobody", "/static/pages.css"])
def test_every_answer_has_the_security_headers(user: Reader, store: Store, path: str) -> None:
    """Scripts and styles are ours alone, and only Airflow's UI may frame a page."""
    headers = user.get(path).headers
    policy = headers["content-security-policy"]
    assert policy.startswith("default-src 'none'; style-src 'self'; script-src 'self'")
    assert "frame-ancestors 'self'" in policy
    assert "unsafe" not in policy
    assert headers["x-content-type-options"] == "nosniff"


def test_pages_keep_their_own_policy(user: Reader, store: Store) -> None:
    """No page has a script, a style or a handler in its markup, which the policy would refuse."""
    for path in ("/models", f"/models/{LOAN}", "/models/nobody"):
        page = user.get(path).text
        assert not re.search(r"<script(?![^>]*\bsrc=)", page), path
        assert not re.search(r"<style|\sstyle=|\son\w+=|javascript:", page), path


def test_all_models_are_listed_with_their_last_decision(admin: Reader, store: Store) -> None:
    """The sentence is the one of `why`, with the first words of the message to Slack."""
    page = admin.get("/models")
    assert page.status_code == 200
    names = model_names(page.text)
    assert sorted(names) == sorted(store.children("models")[0])
    text = text_of(page.text)
    for name in names:
        newest = next(decisions(store, name))
        words = re.search(r"\w+ was (?:not )?updated.*?(?=; (?:version|nothing))", why(store, name))
        assert words is not None
        assert words[0].replace(name, str(newest.title), 1) in text
        if newest.outcome.value != "promoted":
            assert HAPPENED[newest.outcome] in words[0]


@pytest.mark.parametrize(
    ("path", "reason"),
    [
        ("/dag", "the address lacks: dag_id"),
        ("/run?dag_id=retrain_loan_approval", "the address lacks: run_id"),
        ("/nothing", "nothing answers at '/retraining/nothing'"),
    ],
)
def test_an_address_that_is_none_gets_a_page(
    user: Reader, store: Store, path: str, reason: str
) -> None:
    """Whoever shortened or mistyped an address reads what is wrong, and finds the models."""
    answer = user.get(path)
    assert answer.status_code == 404
    assert reason in text_of(answer.text)
    assert '<a href="/retraining/models">Models</a>' in answer.text


def test_what_needs_a_person_comes_first(admin: Reader, store: Store) -> None:
    """Broken before late, late before held, and what is well at the end."""
    page = admin.get("/models").text
    ranks = [int(rank) for rank in re.findall(r'<tr class="u(\d)"', page)]
    assert len(ranks) == 12
    assert ranks == sorted(ranks)
    assert {2, 4, 5, 6, 9} <= set(ranks)


def test_a_model_shows_only_to_who_may_read_its_dag(
    admin: Reader, user: Reader, store: Store
) -> None:
    """To others it is as if it were not there, on every page about it."""
    assert SECRET in model_names(admin.get("/models").text)
    assert admin.get(f"/models/{SECRET}").status_code == 200
    assert SECRET not in model_names(user.get("/models").text)
    assert SECRET not in user.get("/models").text
    run = next(decisions(store, SECRET))
    for path in (
        f"/models/{SECRET}",
        f"/models/{SECRET}/runs/{run.run}",
        f"/models/{SECRET}/runs/{run.run}/card/roc.png",
        f"/dag?dag_id={HIDDEN}",
        f"/run?dag_id={HIDDEN}&run_id={run.run_id}",
    ):
        answer = user.get(path)
        assert answer.status_code == 404, path
        assert "there is no model &#39;hidden_model&#39; that you may see" in answer.text
    assert "there is no model &#39;nobody&#39; that you may see" in user.get("/models/nobody").text


def test_markup_in_a_record_is_text(user: Reader, store: Store) -> None:
    """A reason that holds a script shows it, on each page that shows the reason."""
    record = next(decisions(store, LOAN))
    assert SCRIPT in record.reason
    for path in ("/models", f"/models/{LOAN}", f"/models/{LOAN}/runs/{record.run}"):
        page = user.get(path).text
        assert SCRIPT not in page
        assert SCRIPT in text_of(page.replace("&lt;", "&amp;lt;")).replace("&lt;", "<")


def test_the_pages_need_no_more_than_their_role_may(
    user: Reader, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With deploy/iam/pages.json each page is whole, on a server that enforces the policy."""
    with s3_roles(tmp_path) as roles:
        owner = crowded_store(
            roles.uri, roles.keys["owner"], models=10, decisions=40, first=("apple",)
        )
        record = next(one for one in decisions(owner, "apple") if one.verdict is not None)
        card = RunPaths("apple", record.run).card
        owner.write(f"{card}/card.md", b"# A\n\n![ROC](roc.png)\n")
        owner.write(f"{card}/roc.png", b"\x89PNG\r\n")
        plant_grades(owner, PromotionLog(owner, "apple").entry(1), 0.84)
        serving = PromotionLog(owner, "apple").champion()
        assert serving is not None
        drift = planted(1, 0.4, generation=serving.generation)
        write_drift(owner, drift.model_copy(update={"model": "apple"}))
        connect(monkeypatch, roles.uri, roles.keys["pages"])
        run = f"/models/apple/runs/{record.run}"
        for path in ("/models", "/models/apple", run, f"{run}/card/roc.png"):
            answer = user.get(path)
            assert answer.status_code == 200, path
            assert ("Promised and kept" in answer.text) is (path == "/models/apple")
            assert ("What moved" in answer.text) is (path == "/models/apple")
            assert not re.search("cannot be read|unreadable|credentials", answer.text), path
        names = {key.split("/")[0] for key in roles.asked("GET")}
        assert names >= {"store.json", "models", "outbox", "watch"}
        assert {method for method, _ in roles.proxy.requests[-40:]} <= {"GET", "HEAD"}


def test_a_store_that_does_not_answer_is_a_page(
    user: Reader, monkeypatch: pytest.MonkeyPatch, s3_options: dict[str, str]
) -> None:
    """It says which store, and holds no secret."""
    monkeypatch.setattr(store_access, "PATIENCE", store_access.timedelta(seconds=0.2))
    store_access._opened.cache_clear()
    options = {**s3_options, "AWS_ENDPOINT_URL": "http://127.0.0.1:9"}
    connect(monkeypatch, "s3://bucket/prefix", options)
    for path in ("/models", f"/models/{LOAN}", f"/models/{LOAN}/runs/x"):
        answer = user.get(path)
        assert answer.status_code == 503, path
        assert "The store cannot be read" in answer.text
        assert "s3://bucket/prefix" in answer.text
        assert options["AWS_SECRET_ACCESS_KEY"] not in answer.text
    store_access._opened.cache_clear()


def test_a_connection_that_is_missing_is_a_page(
    user: Reader, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It says how to make it."""
    monkeypatch.delenv("AIRFLOW_CONN_STORE", raising=False)
    answer = user.get("/models")
    assert answer.status_code == 503
    assert "there is no Airflow connection" in answer.text


def test_damage_of_one_model_hides_no_other(
    user: Reader, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A record and a log that cannot be read are said so, and all else is there."""
    store = crowded_store(
        (tmp_path / "s").as_uri(), models=4, decisions=16, first=("apple", "berry")
    )
    connect(monkeypatch, store.uri)
    damage(store, decision_keys(store, "apple")[0])
    damage(store, promotion_key("berry", 1))
    page = user.get("/models")
    assert page.status_code == 200
    names = model_names(page.text)
    assert len(names) == 4
    assert set(names[:2]) == {"apple", "berry"}
    assert text_of(page.text).count("something cannot be read") == 2
    one = user.get("/models/apple")
    assert one.status_code == 200
    assert "unreadable" in one.text
    assert "it cannot be read" in text_of(one.text)
    assert text_of(one.text).count(decision_keys(store, "apple")[0]) == 2  # above, and in its place
    assert len(re.findall('<article class="decision">', one.text)) == 3
    assert "promotion_log.md" not in one.text
    run = user.get("/models/apple/runs/" + decision_keys(store, "apple")[0].split("/")[-1][:-9])
    assert "It has decided, and its record cannot be read." in text_of(run.text)
    other = user.get("/models/berry")
    assert other.status_code == 200
    assert "The promotion log is damaged" in other.text
    assert "Something cannot be read" not in other.text  # which is the log, said once
    assert "docs/runbooks/promotion_log.md" in other.text


def test_a_damaged_decision_is_no_damage_of_an_empty_log(
    user: Reader, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of a model that never promoted, the page goes on saying that nothing serves."""
    store = crowded_store((tmp_path / "s").as_uri(), models=1, decisions=4, first=("apple",))
    connect(monkeypatch, store.uri)
    for entry in store.objects("models/apple/promotions"):
        store.delete(entry.key)
    damage(store, decision_keys(store, "apple")[0])
    text = text_of(user.get("/models/apple").text)
    assert "Serves nothing yet" in text
    assert "Nothing was promoted yet." in text
    assert "unknown" not in text_of(user.get("/models").text)


def test_a_folder_that_went_away_is_no_new_store(user: Reader, empty: Store) -> None:
    """The page says that it is gone, and not first that it may be initialised."""
    folder = Path(urlsplit(empty.uri).path)
    assert user.get("/models").status_code == 200
    folder.rename(folder.with_name("gone"))
    answer = user.get("/models")
    assert answer.status_code == 503
    assert "there is no such folder: check the address, and mount its disk" in answer.text


def test_nobody_is_told_that_all_is_well_by_a_watch_that_failed(user: Reader, empty: Store) -> None:
    """What the last look could not see is named."""
    heartbeat.write_heartbeat(empty, ["check_models"])
    text = text_of(user.get("/models").text)
    assert "the last run of watch_models failed in check_models" in text
    assert "needs someone." not in text


@pytest.mark.usefixtures("empty")
def test_an_empty_store_is_a_page(user: Reader) -> None:
    """Without a model the list says how one comes to be there."""
    answer = user.get("/models")
    assert answer.status_code == 200
    assert "There is no model that you may see" in answer.text


def test_buttons_are_for_who_may_start_runs(user: Reader, viewer: Reader, store: Store) -> None:
    """They lead to Airflow's own form, filled in; a viewer has none.

    A rollback names the generation that the page shows, so that one from a stale page is refused.
    """
    held = next(
        name
        for name in store.children("models")[0]
        if "on hold" in why(store, name) and "_" in name and name != SECRET
    )
    page = user.get(f"/models/{held}").text
    links = [
        unescape(link)
        for link in re.findall(r'class="out button" target="_top" href="([^"]+)"', page)
    ]
    filled = {
        urlsplit(link).path: json.loads(parse_qs(urlsplit(link).query)["fill"][0]) for link in links
    }
    serves = PromotionLog(store, held).head()
    assert serves > 1
    assert filled["/dags/rollback_model"] == {"model": held, "generation": serves}
    assert filled["/dags/release_model"] == {"model": held}
    in_log = [
        json.loads(parse_qs(urlsplit(unescape(link)).query)["fill"][0])
        for link in re.findall(r'href="([^"]+)"[^>]*>roll back to it', page)
    ]
    assert in_log
    assert all(one["generation"] == serves and one["version"] for one in in_log)
    page = viewer.get(f"/models/{held}").text
    assert "fill=" not in page
    assert "You may look" in page


def test_a_model_page_has_the_decisions_and_the_log(user: Reader, store: Store) -> None:
    """Every decision with its gates, the metric over time in numbers, and every entry."""
    page = user.get(f"/models/{LOAN}").text
    found = list(decisions(store, LOAN))
    assert len(re.findall('<article class="decision">', page)) == len(found) == 4
    text = text_of(page)
    judged = [record for record in found if record.verdict is not None]
    assert judged
    for record in judged:
        for gate in record.verdict.gates:  # type: ignore[union-attr]
            assert gate.gate in text
    assert "Promotion log" in text
    assert "Memory and time of the steps" in text
    assert "Slices and fairness" in text


def test_a_model_page_shows_the_columns_that_moved_most(
    user: Reader, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Drawn and in numbers, of the newest input compared with the champion; else why it was not."""
    store = crowded_store((tmp_path / "s").as_uri(), models=1, decisions=4, first=("apple",))
    connect(monkeypatch, store.uri)
    serving = PromotionLog(store, "apple").champion()
    assert serving is not None
    page = user.get("/models/apple").text
    assert "What moved" not in page
    drift = planted(1, 0.4, generation=serving.generation)
    write_drift(store, drift.model_copy(update={"model": "apple"}))
    lost = planted(1, None, generation=serving.generation)
    write_drift(store, lost.model_copy(update={"model": "apple", "source": "delivery"}))
    page = user.get("/models/apple").text
    assert page.count('<svg class="paired"') == 1
    text = text_of(page)
    assert "What moved the newest input that was scored" in text
    assert "could not be compared with the champion's training rows: no profile." in text
    damage(store, drift_key("apple", "scoring", "00000001"))
    assert "00000001.json" in text_of(user.get("/models/apple").text)


def test_older_decisions_are_a_click_away(
    user: Reader, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each decision is on one page and no more."""
    store = crowded_store((tmp_path / "s").as_uri(), models=1, decisions=70, first=("apple",))
    connect(monkeypatch, store.uri)
    first = user.get("/models/apple").text
    older = re.search(r'href="/retraining(/models/apple\?before=[^"]+)">Older', first)
    assert older is not None
    second = user.get(unescape(older[1])).text
    shown = [
        re.findall(r'href="/retraining/models/apple/runs/([^"]+)">\s*<time', page)
        for page in (first, second)
    ]
    runs = [record.run for record in decisions(store, "apple")]
    articles = [page.count('<article class="decision">') for page in (first, second)]
    assert articles == [50, 20]
    assert set(shown[0]) | set(shown[1]) >= set(runs)


def test_the_tab_of_a_run_finds_its_decision(user: Reader, store: Store) -> None:
    """By Airflow's id of the run, also when Airflow has forgotten it."""
    record = next(decisions(store, LOAN))
    answer = user.client.get(
        "/retraining/run", params={"dag_id": record.dag_id, "run_id": record.run_id}
    )
    assert answer.status_code == 200
    assert record.version is not None
    assert record.version in answer.text
    answer = user.client.get("/retraining/run", params={"dag_id": record.dag_id, "run_id": "other"})
    assert answer.status_code == 404
    assert "no run &#39;other&#39; of loan_approval" in answer.text


def test_the_tab_of_another_dag_says_so(user: Reader, store: Store) -> None:
    """It is on every DAG, and most retrain no model."""
    answer = user.get("/dag?dag_id=watch_models")
    assert answer.status_code == 404
    assert "retrains no model" in answer.text
    assert user.get(f"/dag?dag_id=retrain_{LOAN}").status_code == 200


def test_a_model_card_is_shown_without_what_it_must_not_do(
    user: Reader, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its pictures are ours, its HTML is text, and no link leads away."""
    store = crowded_store((tmp_path / "s").as_uri(), models=1, decisions=4, first=("apple",))
    connect(monkeypatch, store.uri)
    record = next(decisions(store, "apple"))
    folder = f"models/apple/runs/{record.run}/card"
    card = (
        "# A\n\n<script>alert(1)</script>\n\n![ROC](roc.png) ![out](https://example.org/x.png)\n\n"
        "[away](https://example.org)\n\n| n |\n|---:|\n| 1 |\n"
    )
    store.write(f"{folder}/card.md", card.encode())
    store.write(f"{folder}/roc.png", b"\x89PNG\r\n")
    page = user.get(f"/models/apple/runs/{record.run}").text
    assert f'src="/retraining/models/apple/runs/{record.run}/card/roc.png"' in page
    assert "example.org" not in page
    assert "<script>alert" not in page
    assert '<td class="number">1</td>' in page
    picture = user.get(f"/models/apple/runs/{record.run}/card/roc.png")
    assert (picture.status_code, picture.headers["content-type"]) == (200, "image/png")
    assert user.get(f"/models/apple/runs/{record.run}/card/other.png").status_code == 404


def test_a_run_shows_its_gates_once_and_its_plots_before_them(
    user: Reader, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the page shows by itself is left out of the card, and plots need no scrolling to it."""
    store = crowded_store((tmp_path / "s").as_uri(), models=1, decisions=4, first=("apple",))
    connect(monkeypatch, store.uri)
    record = next(one for one in decisions(store, "apple") if one.verdict is not None)
    card = (
        "# Apple\n\n## Purpose\n\nTo bake.\n\n## Decision\n\n| Gate |\n|---|\n| no leak |\n\n"
        "## Scores\n\nall of them\n\n### ROC curve\n\nFalse alarms.\n\n![ROC](roc.png)\n\n"
        "## Limits\n\nmany\n"
    )
    store.write(f"{RunPaths('apple', record.run).card}/card.md", card.encode())
    page = user.get(f"/models/apple/runs/{record.run}").text
    text = text_of(page)
    assert page.count("no leak") == 1
    assert "all of them" not in text
    places = [text.index(words) for words in ("False alarms.", "Gates:", "To bake.", "many")]
    assert places == sorted(places)
    assert page.count("roc.png") == 2  # the picture and the link to it alone
    store.write(f"models/apple/decisions/{record.run}.000.json", b"damaged")
    assert "all of them" in user.get(f"/models/apple/runs/{record.run}").text


def test_a_promotion_that_was_rolled_back_is_no_good_news(
    user: Reader, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On the list, the model's page and the run's: by whom and why, and nothing is green."""
    store = initialise((tmp_path / "s").as_uri(), {})
    for number in (1, 2):
        decide(store, plant_run(store, number))
    Registry(store, MODEL).rollback(version_name(1), actor="ann", reason="it is bad", seen=2)
    connect(monkeypatch, store.uri)
    record = next(decisions(store, MODEL))
    for path in ("/models", f"/models/{MODEL}", f"/models/{MODEL}/runs/{record.run}"):
        page = user.get(path).text
        text = text_of(page)
        assert "rolled back by ann at" in text, path
        assert "it is bad" in text, path
        assert "promoted, rolled back" in text, path
        greens = page.count('class="badge promoted"')
        assert greens == (2 if path == f"/models/{MODEL}" else 0), path  # the first one stands
    assert 'class="event rollback"' in user.get(f"/models/{MODEL}").text


@pytest.mark.parametrize("run", ["%2e%2e", "a%2fb", "..%2f..%2fstore.json", "x" * 200])
def test_no_address_leads_out_of_the_runs(user: Reader, store: Store, run: str) -> None:
    """A name that is none gets a 404, whatever it spells."""
    assert user.get(f"/models/{LOAN}/runs/{run}/card/roc.png").status_code == 404
    assert user.get(f"/static/{run}").status_code == 404


def test_a_page_that_breaks_says_so(
    user: Reader, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The error's text is left to the log."""

    def fails(*_: Any, **__: Any) -> None:
        raise RuntimeError("internal words")

    monkeypatch.setattr("include.pages.app.models_page", fails)
    answer = user.get("/models")
    assert answer.status_code == 500
    assert "RuntimeError" in answer.text
    assert "internal words" not in answer.text
    assert "content-security-policy" in answer.headers


def test_what_was_saved_is_counted(admin: Reader, store: Store) -> None:
    """The list says how many runs trained nothing because nothing had changed."""
    names = store.children("models")[0]
    since = datetime.now(UTC) - store_access.timedelta(days=30)
    saved = sum(
        record.outcome.value == "no_change" and record.run_after >= since
        for name in names
        for record in decisions(store, name)
    )
    assert saved > 0
    store_access.TALLY.count(store, names, since, patience_seconds=60)
    assert f"{saved} runs trained nothing" in text_of(admin.get("/models").text)
