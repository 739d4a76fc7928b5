"""What the demonstration prints is what a person needs."""

from __future__ import annotations

from include.local_airflow.demo.console import slack_text


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
