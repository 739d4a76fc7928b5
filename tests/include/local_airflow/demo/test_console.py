"""What the demonstration prints is what a person needs."""

from __future__ import annotations

import io
from urllib.parse import quote

from rich.console import Console

from include.local_airflow.demo.console import show_decision, slack_text
from include.retraining.decisions.records import decisions
from include.retraining.store.marker import initialise
from include.retraining.store.object_store import Store
from tests.support.run_factory import MODEL, decide, plant_run


def test_slack_text() -> None:
    """Links show their words and keep their address; escapes are undone once."""
    text = slack_text("*a* &lt;b&gt; &amp;amp; <http://x/?a=1&amp;b=2|the run> · end")
    assert text.plain == "*a* <b> &amp; the run · end"
    (span,) = text.spans
    assert text.plain[span.start : span.end] == "the run"
    assert span.style.link == "http://x/?a=1&b=2"


def test_plain_message() -> None:
    """A message without links is shown whole, square brackets too."""
    assert slack_text("[red] <!channel> 1 < 2").plain == "[red] <!channel> 1 < 2"


def test_addresses_are_whole_and_can_be_opened(folder_store: Store) -> None:
    """Our page of the model, Airflow's of the run, and the card; each on a line of its own."""
    store = initialise(folder_store.uri, {})
    decide(store, plant_run(store, 1))
    record = next(decisions(store, MODEL))
    out = io.StringIO()
    show_decision(Console(file=out, width=40), record, "http://127.0.0.1:8080", str)
    run = quote(record.run_id, safe="")
    assert out.getvalue().splitlines()[-3:] == [
        f"  model  http://127.0.0.1:8080/dags/retrain_{MODEL}/plugin/model",
        f"  run    http://127.0.0.1:8080/dags/retrain_{MODEL}/runs/{run}",
        f"  card   http://127.0.0.1:8080/retraining/models/{MODEL}/runs/{record.run}#card",
    ]
