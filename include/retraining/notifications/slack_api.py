"""A channel in Slack by its API: messages, replies in a thread, and edits."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from include.retraining.exceptions import SlackRefused
from include.retraining.formatting.text import truncate
from include.retraining.notifications.slack import PAUSE_SECONDS, retry_after
from include.retraining.notifications.time_limit import within
from include.retraining.store.redaction import redact

if TYPE_CHECKING:
    from slack_sdk import WebClient

EVENT_TYPE = "retraining_notice"
# Another try gives the same answer: https://docs.slack.dev/reference/methods/chat.postMessage
_CLOSED = frozenset({
    "account_inactive", "channel_is_archived", "channel_not_found", "ekm_access_denied",
    "invalid_auth", "is_archived", "is_inactive", "missing_scope", "no_permission", "not_allowed",
    "not_allowed_token_type", "not_authed", "not_in_channel", "org_login_required",
    "restricted_action", "team_access_not_granted", "token_expired", "token_revoked",
})  # fmt: skip
# The bot has no such scope, is no member, or the connection names the channel by its name.
_MAY_NOT_READ = frozenset({
    "access_denied", "channel_not_found", "enterprise_is_restricted", "missing_scope",
    "method_not_supported_for_channel_type", "no_permission", "not_allowed_token_type",
    "not_in_channel",
})  # fmt: skip
_REFUSED_LAYOUT = frozenset({"invalid_blocks", "invalid_blocks_format", "invalid_attachments"})
_GONE = frozenset({
    "cant_update_message", "edit_window_closed", "message_not_found", "thread_not_found",
})  # fmt: skip


def is_gone(refusal: SlackRefused) -> bool:
    """Return whether the message that was named is not there, or cannot be edited any more."""
    return refusal.error in _GONE


@dataclass(frozen=True)
class Posted:
    """A message that is in Slack."""

    channel: str
    """The channel's id, which an edit needs."""
    ts: str
    """The message's own id: Slack calls it a time stamp."""


@dataclass(frozen=True)
class Found:
    """A message that was found in a channel's history."""

    posted: Posted
    key: str | None
    """Of the notice that it was sent for, as the message itself says."""


@dataclass(frozen=True)
class SlackChannel:
    """A channel, for as long as one message may take."""

    client: WebClient
    """With the bot's token, and without retry handlers."""
    name: str
    """The channel's id, or its name with `#`."""
    end: float
    """When to give up (`time.monotonic`)."""

    def post(
        self,
        body: dict[str, Any],
        *,
        opens: Mapping[str, str] | None = None,
        reply_to: Posted | None = None,
        is_for_all: bool = False,
    ) -> Posted:
        """Post a message and wait for Slack's answer.

        What passes is tried once more where the time allows; a layout that Slack refuses is posted
        as plain text.

        Args:
            body: as `slack.message_of` makes it.
            opens: the `topic` that the message is the first one of, and the `key` of its notice:
                kept with the message, for `find`.
            reply_to: the first message of its thread.
            is_for_all: whether a reply is shown in the channel too.

        Raises:
            NotSent: when it did not arrive, or that is unknown.
        """
        words: dict[str, Any] = {**body, "channel": self.name}
        if opens is not None:
            words["metadata"] = {"event_type": EVENT_TYPE, "event_payload": dict(opens)}
        if reply_to is not None:
            words |= {
                "channel": reply_to.channel,
                "thread_ts": reply_to.ts,
                "reply_broadcast": is_for_all,
            }
        answer = self._ask_twice("chat.postMessage", words)
        return Posted(str(answer["channel"]), str(answer["ts"]))

    def edit(self, posted: Posted, body: dict[str, Any]) -> None:
        """Replace what a message says.

        Raises:
            NotSent: when it was not replaced, or that is unknown.
        """
        where = {"channel": posted.channel, "ts": posted.ts}
        self._ask_twice("chat.update", {**body, **where})

    def find(self, topic: str, *, since: float) -> Found | None:
        """Return the first message on a topic that was posted after a time.

        None when there is none, and where the bot may not read the channel's history.

        Args:
            topic: as in `post`.
            since: seconds since 1970. Slack returns the first 200 messages after it.

        Raises:
            NotSent: when Slack does not say: whether there is one is unknown.
        """

        def history() -> Any:
            return self.client.conversations_history(
                channel=self.name, oldest=f"{since:.6f}", limit=200, include_all_metadata=True
            )

        try:
            answer = within(self.end, _explained(history))
        except SlackRefused as problem:
            if problem.error not in _MAY_NOT_READ:
                raise
            return None  # then it is posted once more
        found = [
            Found(Posted(self.name, str(message["ts"])), payload.get("key"))
            for message in answer.get("messages", [])
            if (payload := message.get("metadata", {}).get("event_payload", {})).get("topic")
            == topic
            and message.get("thread_ts", message["ts"]) == message["ts"]
        ]
        return min(found, key=lambda one: float(one.posted.ts), default=None)

    def _ask_twice(self, method: str, words: dict[str, Any]) -> dict[str, Any]:
        try:
            return self._ask(method, words)
        except SlackRefused as problem:
            if problem.error in _REFUSED_LAYOUT:
                kept = {key: value for key, value in words.items() if key not in {"blocks"}}
                return self._ask(method, {**kept, "attachments": []})
            if problem.is_revoked or is_gone(problem):
                raise
            pause = problem.retry_after_seconds or PAUSE_SECONDS
            if time.monotonic() + pause >= self.end:
                raise
        time.sleep(pause)
        return self._ask(method, words)

    def _ask(self, method: str, words: dict[str, Any]) -> dict[str, Any]:
        return within(self.end, _explained(lambda: self.client.api_call(method, json=words)))


def _explained(call: Callable[[], Any]) -> Callable[[], dict[str, Any]]:
    """Return a call that raises Slack's refusal as ours."""
    from slack_sdk.errors import SlackApiError

    def ask() -> dict[str, Any]:
        try:
            return dict(call().data)
        except SlackApiError as error:
            status = int(getattr(error.response, "status_code", 0) or 0)
            wait = retry_after(status, getattr(error.response, "headers", {}) or {})
            data = getattr(error.response, "data", None)
            said = data.get("error") if isinstance(data, dict) else None
            raise _refusal(str(said or status), wait) from None

    return ask


def _refusal(error: str, retry_after_seconds: float | None) -> SlackRefused:
    return SlackRefused(
        f"Slack answered: {truncate(redact(error), 200)}",
        error=error,
        retry_after_seconds=retry_after_seconds,
        is_revoked=error in _CLOSED,
    )
