"""The request for a manual approval: the evidence, until when, and the message."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from urllib.parse import urlsplit

from include.retraining.decisions.evidence import Evidence
from include.retraining.exceptions import ArtifactError, EvidenceError
from include.retraining.formatting.markdown import NOTHING, code, table
from include.retraining.formatting.times import utc_minute
from include.retraining.gate.tables import (
    gates_table,
    opponent_lines,
    scores_table,
    slices_table,
    split_words,
)
from include.retraining.model_card.template import Markdown, render_markdown
from include.retraining.notifications.notice import (
    Links,
    Notice,
    NoticeKind,
    alert,
    run_topic,
    serving_now,
)
from include.retraining.registry.entry import PromotionEntry
from include.retraining.registry.promotion_log import PromotionLog
from include.retraining.registry.versions import VersionManifest, find_version, read_version
from include.retraining.runs.manifest import RunManifest
from include.retraining.runs.reference import RunRef
from include.retraining.store.object_store import Store

EVENT = "approval"
TEMPLATE = Path(__file__).with_name("approval_request.md.jinja")


@dataclass(frozen=True)
class Question:
    """Whether a version that passed the gate may serve."""

    evidence: Evidence
    challenger: VersionManifest
    serving: PromotionEntry | None
    """The champion; None before the first promotion."""
    serving_now: str
    """The same in words, with since when."""
    champion: VersionManifest | None
    """Its version; None when nothing serves or it cannot be read."""
    expires_at: datetime

    @property
    def subject(self) -> str:
        """The question, as plain text."""
        title = self.evidence.manifest.config["title"]
        return f"{title}: promote version {self.challenger.version}?"

    def body(self, view_url: str | None) -> str:
        """Return the evidence as Markdown.

        Args:
            view_url: the address at which a commit can be viewed, with `{version}` for the
                commit, as an Airflow bundle gives it; None when there is none.
        """
        report, verdict = self.evidence.report, self.evidence.verdict
        new = self.evidence.manifest.code.git_sha
        old = None if self.champion is None else self.champion.code.git_sha
        return render_markdown(
            TEMPLATE,
            verdict=verdict,
            report=report,
            serving_now=self.serving_now,
            expires_at=self.expires_at,
            is_held=self.serving is not None and self.serving.is_held,
            gates=Markdown(gates_table(verdict, report.metric)),
            scores=Markdown(scores_table(report)),
            opponents=[Markdown(line) for line in opponent_lines(report)],
            slices=Markdown(slices_table(report)),
            data=self._data(),
            split=Markdown(split_words(self.challenger.split)),
            has_champion=self.champion is not None,
            commits={"Challenger": _commit(new), "Champion": _commit(old)},
            is_same_code=_is_same_code(self),
            comparison=compare_url(view_url, old, new),
        )

    def _data(self) -> Markdown:
        contenders = {"Challenger": self.challenger, "Champion": self.champion}
        rows = [
            [
                name,
                version.data_date,
                f"{version.train_rows:,}",
                _until(version),
                ", ".join(code(file.name) for file in version.data[:5]) + _more(version),
            ]
            for name, version in contenders.items()
            if version is not None
        ]
        columns = ("Version", "Data of", "Rows to train on", "Trained on rows up to", "Files")
        return Markdown(table(columns, rows))


def ask(store: Store, run: RunRef, evidence: Evidence, *, expires_at: datetime) -> Question:
    """Return the approval request for a run's challenger.

    Args:
        store: where the run lies.
        run: the run.
        evidence: of it, with a verdict that passed.
        expires_at: when a missing answer counts as a no.

    Raises:
        EvidenceError: when the gate did not pass it.
        ArtifactError: when the challenger's manifest is not what the run made.
        RegistryError: when the promotion log cannot be read.
        StorageError: when the store refuses or does not answer.
    """
    verdict, manifest = evidence.verdict, evidence.manifest
    if not verdict.passed:
        raise EvidenceError(
            f"run {run.run_id}: no approval is asked for what the gate did not pass: "
            f"{verdict.headline}"
        )
    log = PromotionLog(store, run.model)
    serving = log.champion()
    return Question(
        evidence=evidence,
        challenger=read_version(store, run.model, manifest.version),
        serving=serving,
        serving_now=serving_now(log, serving),
        champion=None if serving is None else _champion(store, serving),
        expires_at=expires_at,
    )


def question_notice(question: Question, links: Links, *, attempt: str) -> Notice:
    """Return the message that asks for approval.

    Args:
        question: what is asked.
        links: where it is answered, and where to look.
        attempt: distinguishes repeated requests of the same run.
    """
    manifest: RunManifest = question.evidence.manifest
    until = utc_minute(question.expires_at)
    return alert(
        event=EVENT,
        kind=NoticeKind.WAITING,
        key=f"{manifest.model}.{manifest.run}.{attempt}.approval",
        title=manifest.config["title"],
        model=manifest.model,
        headline=f"version {question.challenger.version} passed every gate: approve or reject it "
        f"by {until}",
        why=question.evidence.verdict.headline,
        step="Open the page, read the evidence, and choose Approve with a note, or Reject. Without "
        f"an answer by {until} it does not serve.",
        owner=manifest.config["owner"],
        serving=question.serving_now,
        links=links,
        runbook=EVENT,
        topic=run_topic(manifest.model, manifest.run),
    )


def compare_url(view_url: str | None, old: str | None, new: str | None) -> str | None:
    """Return the address of the difference between two commits, or None where none is known.

    Args:
        view_url: where a commit can be viewed, with `{version}` for it: of GitHub or GitLab.
        old: the earlier commit.
        new: the later one.
    """
    shas = [sha for sha in (old, new) if sha and re.fullmatch(r"[0-9a-f]{7,64}", sha)]
    base, mark, _ = (view_url or "").partition("/tree/{version}")
    if not mark or len(shas) != 2 or old == new:
        return None
    address = urlsplit(base)
    if address.scheme not in {"https", "http"} or "@" in address.netloc:
        return None  # a password in an address is never shown
    return f"{base}/compare/{old}...{new}" if re.fullmatch(r"[\w.:/~%-]+", base) else None


def _champion(store: Store, serving: PromotionEntry) -> VersionManifest | None:
    try:
        return find_version(store, serving.model, serving.version, digest=serving.version_digest)
    except (ArtifactError, EvidenceError):
        return None  # the gate has said what that means


def _is_same_code(question: Question) -> bool:
    new = question.evidence.manifest.code
    old = None if question.champion is None else question.champion.code
    return old is None or new.training_digest == old.training_digest


def _until(version: VersionManifest) -> str:
    until = version.split.train_until
    return NOTHING if until is None else f"{until:%Y-%m-%d %H:%M} UTC"


def _more(version: VersionManifest) -> str:
    more = len(version.data) - 5
    return f" and {more:,} more" if more > 0 else ""


def _commit(sha: str | None) -> Markdown:
    """Return a commit, shortened, with all that is said of it behind its digits."""
    if not sha:
        return Markdown("unknown")
    digits, mark, rest = sha.partition("-")
    words = " (with changes that are in no commit)" if rest == "dirty" else ""
    return Markdown(f"{code(digits[:12] + mark + rest)}{words}")
