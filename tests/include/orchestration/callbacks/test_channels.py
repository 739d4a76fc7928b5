"""The type of a connection decides the channel: each is sent to over loopback."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from airflow.sdk import Connection

from include.local_airflow.slack_receiver import SlackReceiver
from include.orchestration.callbacks import send as sending
from include.orchestration.callbacks.channels import CHANNELS, send_through
from include.orchestration.callbacks.mail import _recipients
from include.orchestration.callbacks.send import deliver_all, deliver_notice, sender
from include.orchestration.callbacks.slack import api_client
from include.orchestration.runtime.alert_connection import (
    ALERT_FIELDS,
    check_alerts,
    pagerduty_address,
)
from include.retraining.config.alerts import Alerts
from include.retraining.config.notice_kind import NoticeKind
from include.retraining.exceptions import ConfigError, NotSent
from include.retraining.notifications.notice import Links, Notice, alert
from include.retraining.notifications.outbox import waiting
from include.retraining.store.object_store import Store
from tests.support.alert_receivers import (
    Answer,
    HttpReceiver,
    MailServer,
    SlackApi,
    mail_server,
    serving,
)

TOPIC = "toy.run-1"
CANARY = "canary/path-0123456789"


@pytest.fixture
def receiver() -> Iterator[HttpReceiver]:
    """What takes JSON: PagerDuty, or any other."""
    http = HttpReceiver()
    with serving(http):
        yield http


@pytest.fixture
def mails() -> Iterator[MailServer]:
    """A mail server."""
    with mail_server() as server:
        yield server


@dataclass
class Connections:
    """Sets Airflow connections, and what the model's YAML says of them."""

    monkeypatch: pytest.MonkeyPatch

    def set(self, name: str, value: str | dict[str, Any]) -> None:
        """Set one."""
        text = value if isinstance(value, str) else json.dumps(value)
        self.monkeypatch.setenv(f"AIRFLOW_CONN_{name.upper()}", text)

    def alerts(self, **fields: Any) -> None:
        """Set `alerts:` of every model."""
        self.monkeypatch.setattr(sending, "_alerts", lambda model: Alerts(**fields))


@pytest.fixture
def connections(monkeypatch: pytest.MonkeyPatch) -> Connections:
    """Airflow's connections."""
    return Connections(monkeypatch)


def pager(receiver: HttpReceiver) -> dict[str, Any]:
    """The connection to PagerDuty."""
    return {"conn_type": "pagerduty_events", "password": "canary-key", "host": receiver.url}


def message(event: str = "broken", kind: NoticeKind = NoticeKind.BROKEN, **fields: Any) -> Notice:
    """A message about a run, which tries to be more than text."""
    known: dict[str, Any] = {
        "title": "Toy <b>&\r\nBcc: eve@example.org",
        "headline": "it broke",
        "why": "5 < 6 & {{ 7 * 7 }}\r\n.\r\nSubject: other",
        "step": "Look.",
        "owner": "tests",
        "serving": None,
        "links": Links(run="https://airflow/run?a=1&b=2"),
        "runbook": event,
        "topic": TOPIC,
    }
    return alert(
        event=event, kind=kind, key=f"{TOPIC}.000.{event}", model="toy", **{**known, **fields}
    )


def promoted() -> Notice:
    """The message that its run ended well, written now."""
    return message("promoted", NoticeKind.GOOD_NEWS, is_outcome=True)


def test_every_type_that_can_be_sent_to_is_known_to_the_check_before() -> None:
    """`check_connections` names what each must hold."""
    assert set(ALERT_FIELDS) == set(CHANNELS)


def test_pagerduty_opens_an_incident_for_a_topic_and_resolves_it(
    receiver: HttpReceiver, connections: Connections
) -> None:
    """A late run that breaks is one incident; its promotion resolves it, and pages nobody."""
    connections.set("pager", pager(receiver))
    for notice in (message("late"), message(is_outcome=True), promoted()):
        send_through(notice, ["pager"])
    events = [request["body"] for request in receiver.requests]
    assert {request["path"] for request in receiver.requests} == {"/v2/enqueue"}
    assert [event["event_action"] for event in events] == ["trigger", "trigger", "resolve"]
    assert {event["dedup_key"] for event in events} == {TOPIC}
    assert {event["routing_key"] for event in events} == {"canary-key"}
    payload = events[0]["payload"]
    assert (payload["severity"], payload["class"]) == ("critical", "late")
    assert payload["summary"] == r"Broken: Toy <b>& Bcc: eve@example.org: it broke"
    assert "Why: 5 < 6 & {{ 7 * 7 }}" in payload["custom_details"]["message"]
    assert events[0]["links"] == [{"href": "https://airflow/run?a=1&b=2", "text": "Airflow"}]


def test_what_pagerduty_is_sent_is_what_the_providers_hook_sends(
    receiver: HttpReceiver, connections: Connections, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same address, fields and key."""
    from airflow.providers.pagerduty.hooks.pagerduty_events import PagerdutyEventsHook
    from pagerduty import EventsApiV2Client

    connections.set("pager", pager(receiver))
    send_through(message(), ["pager"])
    here = property(lambda self: receiver.url, lambda self, given: None)  # it insists on https
    monkeypatch.setattr(EventsApiV2Client, "url", here)
    ours = receiver.requests[0]["body"]
    PagerdutyEventsHook(pagerduty_events_conn_id="pager").send_event(
        summary=ours["payload"]["summary"],
        severity=ours["payload"]["severity"],
        custom_details=ours["payload"]["custom_details"],
        class_type=ours["payload"]["class"],
        component=ours["payload"]["component"],
        dedup_key=ours["dedup_key"],
        links=ours["links"],
    )
    assert receiver.requests[1]["body"] == ours
    assert receiver.requests[1]["path"] == receiver.requests[0]["path"]


@pytest.mark.parametrize(
    ("host", "address"),
    [
        (None, "https://events.pagerduty.com"),
        ("events.eu.pagerduty.com", "https://events.eu.pagerduty.com"),
        ("https://events.eu.pagerduty.com/", "https://events.eu.pagerduty.com"),
        ("http://[::1]:8080", "http://[::1]:8080"),
        ("http://events.eu.pagerduty.com", None),
        ("ftp://127.0.0.1", None),
        ("https://user:pw@events.pagerduty.com", None),
        ("https://events.pagerduty.com:x", None),
        ("https://[::1", None),
        ("events .com", None),
        ("https://", None),
    ],
)
def test_the_check_before_knows_whether_pagerduty_can_be_reached(
    host: str | None, address: str | None
) -> None:
    """A name is enough; anything else that no event can go to is refused before one must."""
    connection = Connection(conn_id="pager", conn_type="pagerduty_events", password="k", host=host)
    if address is None:
        with pytest.raises(ConfigError, match="its host must"):
            check_alerts(connection)
    else:
        check_alerts(connection)
        assert pagerduty_address(connection) == address


def test_broken_pages_and_its_end_resolves_while_good_news_goes_to_slack(
    store: Store, receiver: HttpReceiver, slack: SlackReceiver, connections: Connections
) -> None:
    """The incident is resolved although the good news has another channel."""
    connections.set("pager", pager(receiver))
    connections.alerts(by_kind={"broken": "pager"})
    deliver_notice(store, message("late"))
    deliver_notice(store, promoted())
    assert [one["body"]["event_action"] for one in receiver.requests] == ["trigger", "resolve"]
    assert len(slack.messages) == 1


def test_a_pager_for_approvals_is_not_called_for_what_broke(
    store: Store, receiver: HttpReceiver, slack: SlackReceiver, connections: Connections
) -> None:
    """A broken outcome goes where broken messages go; any other resolves what is open there."""
    connections.set("pager", pager(receiver))
    connections.alerts(by_kind={"waiting": "pager"})
    deliver_notice(store, message(is_outcome=True))
    assert (receiver.requests, len(slack.messages)) == ([], 1)
    deliver_notice(store, promoted())
    assert [one["body"]["event_action"] for one in receiver.requests] == ["resolve"]


def test_a_pager_that_does_not_answer_delays_no_recovery_and_is_asked_again(
    store: Store, receiver: HttpReceiver, slack: SlackReceiver, connections: Connections
) -> None:
    """The incident is resolved by the outbox; a revoked key is given up."""
    connections.set("pager", pager(receiver))
    connections.alerts(by_kind={"broken": "pager"})
    receiver.script.append(Answer(503))
    deliver_notice(store, promoted())
    assert (len(slack.messages), len(receiver.requests)) == (1, 1)
    assert [notice.closes for notice in waiting(store)] == [promoted().key]
    try_again(store)
    assert [one["body"]["event_action"] for one in receiver.requests] == ["resolve"] * 2
    assert list(waiting(store)) == []
    receiver.script.append(Answer(400))
    other = promoted().model_copy(update={"key": "other", "topic": "other"})
    deliver_notice(store, other)
    assert list(waiting(store)) == []


def try_again(store: Store) -> None:
    """Do what the watch does once the pauses are over."""
    for info in store.children("outbox")[1]:
        if ".retry-" in info.key:
            store.write(info.key, b"{")  # then the claim's age counts
        if ".claim-" in info.key:
            store.write(info.key, b"{")
    deliver_all(store, lambda record: Links())


def test_an_outcome_that_is_held_resolves_its_incident_and_edits_its_thread(
    store: Store, receiver: HttpReceiver, connections: Connections
) -> None:
    """A flood and a silence hold the message only, in its own channel too."""
    from include.retraining.notifications.silences import begin_silence

    def about(number: int, event: str, kind: NoticeKind = NoticeKind.BROKEN) -> Notice:
        key, topic = f"m{number}.run-1.000.{event}", f"m{number}.run-1"
        found = message(event, kind, is_outcome=kind is not NoticeKind.BROKEN)
        return found.model_copy(update={"key": key, "topic": topic, "model": f"m{number}"})

    connections.set("pager", pager(receiver))
    api = SlackApi()
    with serving(api):
        connections.set("bot", api.connection())
        connections.alerts(connection="bot", by_kind={"broken": "pager"}, digest_above=1)
        for number in range(3):
            sender(store)(about(number, "broken"))
            sender(store)(about(number, "approval", NoticeKind.WAITING))
        begin_silence(
            store,
            "m2",
            NoticeKind.GOOD_NEWS,
            hours=1,
            reason="known",
            actor="ada",
            request="a",
            due=datetime.now(UTC),
        )
        for number in range(3):
            deliver_notice(store, about(number, "promoted", NoticeKind.GOOD_NEWS))
    resolved = [one["body"]["dedup_key"] for one in receiver.requests[3:]]
    assert resolved == ["m0.run-1", "m1.run-1", "m2.run-1"]
    assert [len(messages) for messages in api.threads.values()] == [2, 1, 1]
    assert all("Good news" in first for first, *_ in api.threads.values())


def test_a_page_does_not_wait_for_slack(
    store: Store, receiver: HttpReceiver, slack: SlackReceiver, connections: Connections
) -> None:
    """What broke pages although the thread cannot be edited; that is tried for a day."""
    api = SlackApi()
    with serving(api):
        connections.set("bot", api.connection())
        connections.set("pager", pager(receiver))
        connections.alerts(connection="bot", by_kind={"broken": "pager"})
        deliver_notice(store, message("approval", NoticeKind.WAITING))
    broken = message(is_outcome=True)
    deliver_notice(store, broken)
    assert [one["body"]["event_action"] for one in receiver.requests] == ["trigger"]
    assert [notice.closes for notice in waiting(store)] == [broken.key]
    (closing,) = waiting(store)
    sender(store)(
        closing.model_copy(update={"created_at": datetime.now(UTC) - timedelta(hours=25)})
    )


def test_a_closing_is_never_sent_as_a_message(
    store: Store, receiver: HttpReceiver, slack: SlackReceiver, connections: Connections
) -> None:
    """Not even when the model's connections are others by the time it is tried again."""
    connections.set("pager", pager(receiver))
    connections.alerts(by_kind={"broken": "pager"})
    receiver.script.append(Answer(503))
    deliver_notice(store, promoted())
    connections.alerts(by_kind={"broken": "missing"})
    try_again(store)
    assert (len(slack.messages), len(receiver.requests)) == (1, 1)
    assert list(waiting(store)) == []


def test_a_message_that_comes_after_its_runs_end_opens_nothing_again(
    store: Store, receiver: HttpReceiver, slack: SlackReceiver, connections: Connections
) -> None:
    """An incident that was resolved stays so, and the first message says how the run ended."""
    connections.set("pager", pager(receiver))
    api = SlackApi()
    with serving(api):
        connections.set("bot", api.connection())
        connections.alerts(
            connection="bot", by_kind={"broken": "pager", "good_news": "slack_alerts"}
        )
        receiver.script.append(Answer(503))
        deliver_notice(store, message(is_outcome=True))
        api.script.append(Answer(429, {"ok": False, "error": "x"}, {"Retry-After": "60"}))
        deliver_notice(store, message("approval", NoticeKind.WAITING))
        deliver_notice(store, promoted())
        try_again(store)
        try_again(store)
    actions = [one["body"]["event_action"] for one in receiver.requests]
    assert actions[0] == "trigger"
    assert set(actions[1:]) == {"resolve"}
    ((first,),) = api.threads.values()
    assert "Good news" in first
    assert len(slack.messages) == 1
    assert list(waiting(store)) == []


def test_a_run_is_one_thread_through_the_api(
    store: Store, slack: SlackReceiver, connections: Connections
) -> None:
    """With a connection of the type `slack`; where good news go elsewhere, the first is edited."""
    api = SlackApi()
    with serving(api):
        connections.set("bot", api.connection())
        connections.alerts(connection="bot", by_kind={"good_news": "slack_alerts"})
        deliver_notice(store, message("late"))
        deliver_notice(store, message(is_outcome=True))
        deliver_notice(store, promoted())
    ((first, reply),) = api.threads.values()
    assert "Good news" in first
    assert "Broken" in reply
    assert len(slack.messages) == 1


def test_the_client_of_the_api_is_the_one_that_the_hook_makes(connections: Connections) -> None:
    """The same address, token and proxy."""
    from airflow.providers.slack.hooks.slack import SlackHook

    extra = {"base_url": "http://127.0.0.1:1/api/", "proxy": "http://proxy:3128"}
    connections.set("bot", {"conn_type": "slack", "password": "xoxb-1", "extra": extra})
    ours, theirs = api_client(Connection.get("bot")), SlackHook(slack_conn_id="bot").client
    for name in ("token", "base_url", "proxy"):
        assert getattr(ours, name) == getattr(theirs, name), name


def test_a_mail_is_plain_text_and_nothing_in_it_is_a_header(
    mails: MailServer, connections: Connections
) -> None:
    """Line breaks in a title or a reason add no recipient, no header and no end of the mail."""
    connections.set("mail", mails.connection())
    notice = message()
    send_through(notice, ["mail"])
    (mail,) = mails.mails
    assert mail["Subject"] == "Broken: Toy <b>& Bcc: eve@example.org: it broke"
    assert (mail["Bcc"], mail["To"]) == (None, "a@example.org, b@example.org")
    assert mail["From"] == "retraining@example.org"
    assert mail.get_content_type() == "text/plain"
    assert "Why: 5 < 6 & {{ 7 * 7 }} . Subject: other" in mail.get_content()


@pytest.mark.fault("H04")
def test_a_mail_that_is_refused_for_good_goes_another_way(
    mails: MailServer, slack: SlackReceiver, connections: Connections
) -> None:
    """A 550 is final, a 451 passes."""
    connections.set("mail", mails.connection())
    mails.refusals.extend(["550 no such user"] * 2)
    send_through(message(), ["mail", "slack_alerts"])
    assert (len(mails.mails), len(slack.messages)) == (0, 1)
    mails.refusals.extend(["451 later"] * 2)
    with pytest.raises(NotSent, match="451") as caught:
        send_through(message(), ["mail", "slack_alerts"])
    assert not caught.value.is_revoked


@pytest.mark.fault("H04")
def test_a_recipient_who_is_refused_alone_is_counted_in_the_log(
    mails: MailServer, connections: Connections, caplog: pytest.LogCaptureFixture
) -> None:
    """The others have the mail; nobody has it twice, and the log names no address."""
    connections.set("mail", mails.connection())
    mails.refusals.append("550 no such user")
    send_through(message(), ["mail"])
    assert len(mails.mails) == 1
    assert "refused 1 recipient(s) of the Airflow connection 'mail' with 550" in caplog.text
    assert "example.org" not in caplog.text


def test_any_other_receiver_gets_json(receiver: HttpReceiver, connections: Connections) -> None:
    """With the login and the headers of the connection, and a key that names the event."""
    fields = {"conn_type": "http", "host": f"{receiver.url}/hook", "login": "u", "password": "p"}
    connections.set("hook", {**fields, "extra": {"X-Team": "ml"}})
    notice = message("late")
    send_through(notice, ["hook"])
    (request,) = receiver.requests
    assert request["path"] == "/hook"
    assert request["headers"]["Authorization"] == "Basic dTpw"
    assert request["headers"]["X-Team"] == "ml"
    assert request["headers"]["Idempotency-Key"] == notice.key
    body = request["body"]
    assert (body["kind"], body["model"], body["topic"]) == ("broken", "toy", TOPIC)
    assert "Why: 5 < 6 & {{ 7 * 7 }}" in body["text"]
    assert datetime.fromisoformat(body["created_at"]) <= datetime.now(UTC)


@pytest.mark.fault("H04")
@pytest.mark.parametrize(
    ("status", "is_final"), [(401, True), (404, True), (302, False), (429, False), (500, False)]
)
def test_a_receivers_answer_is_final_or_passes(
    receiver: HttpReceiver, connections: Connections, status: int, is_final: bool
) -> None:
    """A redirect is not followed: a POST would arrive as a GET."""
    connections.set("hook", {"conn_type": "http", "host": receiver.url})
    headers = {"Location": f"{receiver.url}/elsewhere", "Retry-After": "7"}
    receiver.script.append(Answer(status, {"error": "canary"}, headers))
    with pytest.raises(NotSent, match=f"the receiver answered {status}") as caught:
        send_through(message(), ["hook"])
    assert (caught.value.is_revoked, len(receiver.requests)) == (is_final, 1)
    assert caught.value.retry_after_seconds == (7 if status == 429 else None)
    assert "canary" not in str(caught.value)


@pytest.mark.fault("H04")
@pytest.mark.parametrize(
    ("address", "extra", "says", "is_final"),
    [
        (f"http://127.0.0.1:9/{CANARY}", {}, "ConnectionError", False),
        (f"http://[::1/{CANARY}", {}, "ValueError", True),
        (f"ftp://127.0.0.1/{CANARY}", {}, "InvalidSchema", True),
        ("http://127.0.0.1:9", {"X-Token": [CANARY]}, "InvalidHeader", True),
    ],
)
def test_a_receivers_address_is_in_no_error_and_no_log(
    store: Store,
    connections: Connections,
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
    address: str,
    extra: dict[str, Any],
    says: str,
    is_final: bool,
) -> None:
    """Its path may be all that keeps others from posting there, and a header may be a token."""
    connections.set("hook", {"conn_type": "http", "host": address, "extra": extra})
    connections.alerts(connection="hook")
    with pytest.raises(NotSent, match=says) as caught:
        send_through(message(), ["hook"])
    assert caught.value.is_revoked == is_final
    deliver_notice(store, message())
    stored = b"".join(store.read(info.key) for info in store.children("outbox")[1])
    said = "".join([str(caught.value), caplog.text, *capfd.readouterr(), stored.decode()])
    assert says in stored.decode()
    assert CANARY not in said


def test_a_receivers_certificates_and_proxies_are_those_of_its_connection(
    receiver: HttpReceiver, connections: Connections
) -> None:
    """A proxy of the connection is asked, here the receiver itself."""
    extra = {"proxies": {"http": receiver.url}, "verify": False}
    connections.set("hook", {"conn_type": "http", "host": "http://hook.invalid/a", "extra": extra})
    send_through(message(), ["hook"])
    assert [request["path"] for request in receiver.requests] == ["/a"]


@pytest.mark.fault("H04")
@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({"conn_type": "generic", "password": "x"}, "has the type 'generic'; allowed are slackweb"),
        ({"conn_type": "slack", "extra": {"channel": "C1"}}, "no password \\(the bot's token\\)"),
        ({"conn_type": "slack", "password": "x"}, "names no channel"),
        ({"conn_type": "pagerduty_events"}, "no password \\(the integration key\\)"),
        (
            {"conn_type": "pagerduty_events", "password": "x", "host": "http://events.invalid"},
            "its host must begin with https://",
        ),
        ({"conn_type": "smtp", "host": "127.0.0.1"}, "names no addresses"),
        (
            {"conn_type": "smtp", "host": "h", "extra": {"from_email": "a\nb", "to": "c"}},
            "an address that is none",
        ),
    ],
)
def test_a_connection_of_no_use_is_named_and_followed_by_the_next(
    fields: dict[str, Any], says: str, slack: SlackReceiver, connections: Connections
) -> None:
    """Another way tells: never silence."""
    connections.set("useless", fields)
    with pytest.raises(NotSent, match=says):
        send_through(message(), ["useless"])
    send_through(message(), ["useless", "slack_alerts"])
    assert len(slack.messages) == 1


def test_recipients_are_a_list_or_a_text() -> None:
    """As a connection's extra is written."""
    assert _recipients("a@b, c@d,") == _recipients(["a@b", " c@d"]) == ["a@b", "c@d"]
    assert _recipients(None) == _recipients(7) == []


def test_what_was_silenced_is_listed_in_the_channel_of_its_kind(
    store: Store, slack: SlackReceiver, receiver: HttpReceiver, connections: Connections
) -> None:
    """Through the same connections as the messages themselves, and without the model's YAML."""
    from include.retraining.notifications.silences import begin_silence, end_silence

    connections.set("pager", pager(receiver))
    connections.alerts(by_kind={"broken": "pager"})
    facts: dict[str, Any] = {"reason": "known", "actor": "ada", "due": datetime.now(UTC)}
    begin_silence(store, "toy", NoticeKind.BROKEN, hours=1, request="a", **facts)
    deliver_notice(store, message("late"))
    assert (receiver.requests, slack.messages) == ([], [])
    end_silence(store, "toy", NoticeKind.BROKEN, request="b", **facts)
    assert deliver_all(store, lambda record: Links()) == 1
    (request,) = receiver.requests
    assert "1 message(s) were silenced" in request["body"]["payload"]["summary"]
