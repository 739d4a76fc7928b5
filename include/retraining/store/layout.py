# long: the list of all that the store holds, and the key of each
"""Where everything lies in the store.

store.json                                        the marker that `init` writes
landing/…                                         deliveries, where producers write here
models/NAME/promotions/00000012.json              the promotion log, its highest entry serves
models/NAME/versions/VERSION/manifest.json        names the files of one attempt, written last
models/NAME/versions/VERSION/ATTEMPT/…            the files
models/NAME/versions/VERSION/windows-ATTEMPT.parquet  what its recipe predicted for earlier periods
models/NAME/versions/VERSION/claim-001.json       who trains it, its beat, and that it has ended
models/NAME/versions/VERSION/removal.json         that `gc` removes it
models/NAME/looks/00000017.json                   which challenger was scored on which rows
models/NAME/forget/00000003.json                  keys whose rows are left out from then on
models/NAME/runs/RUN/begun.json                   that the run began, before it is planned
models/NAME/runs/RUN.cleared-CLEAR.json           that it was cleared and goes on
models/NAME/runs/RUN/manifest.json                what the run pinned
models/NAME/runs/RUN/validate.json …              each step's result, with its failures beside it
models/NAME/runs/RUN/jobs/001.json …              jobs elsewhere: claim, start, end, report
models/NAME/runs/RUN/evaluation.json              the evaluation report
models/NAME/runs/RUN/predictions.parquet          what each version predicted on the holdout
models/NAME/runs/RUN/evaluate.importances.json    what the columns are worth to the versions
models/NAME/runs/RUN/verdict-CLEAR.json           the gate's answer
models/NAME/runs/RUN/approval-CLEAR.json          the answer to a manual approval
models/NAME/runs/RUN/card/…                       the model card and its plots
models/NAME/decisions/RUN.CLEAR.json              the decision record
models/NAME/grades/SOURCE/WINDOW-VERSION.json     what a version scored on labels of later
models/NAME/grades/labels/reviews/…               the same once more, with labels that came late
models/NAME/grades/labels/rows/…                  the labels that a grade was made by, row by row
models/NAME/profiles/VERSION.json                 how the training rows of a version are spread
models/NAME/drift/SOURCE/WINDOW.json              how far an input lies from that
published/…                                       pointers, where a YAML puts them here
models/NAME/scoring/RUN/…                         a scoring run: plan, result, jobs
models/NAME/scoring_claims/…                      who scores a partition by which version
models/NAME/scored/RUN.CLEAR.json                 what a scoring run did
models/NAME/scored/refused/…                      which inputs are not tried again as they are
outbox/KEY.json, KEY.claim-N.json, KEY.sent.json  notices
outbox/sent/KEY.json …                            the same of those that were sent, moved there
outbox/silences/TIME-REQUEST.json                 that a silence begins, or that it was ended
outbox/threads/TOPIC.CONNECTION.json              the thread in Slack of a run or an alarm
outbox/threads/TOPIC.ended-DIGEST.json            how it ended, for messages that come late
watch/NAME.json, watch/airflow.json               the alarms of a model, and of Airflow
watch/last.json                                   the heartbeat of `watch_models`
watch/runs.json                                   how far `watch_models` got with each model's runs
watch/checked.json                                each model as `watch_models` checked it last
watch/published.json                              each published model as it was found last
watch/published/NAME.json                         which champion each target of `publish` has
watch/publishing/NAME.json                        the alarms of these targets
watch/open/NAME.RUN.CLEAR.json                    a run that began, until its record was seen
watch/jobs/NAME.RUN.CLEAR.json                    a run with jobs elsewhere, until they were ended
watch/scoring_jobs/NAME.RUN.CLEAR.json            the same of a scoring run
watch/resume/TASK.json                            where a pass ran out of time

RUN starts with the time the run was due, so that a listing is in time order. A run that was cleared
after its data, code or rules were corrected is planned again in its own folder, RUN.2,
RUN.3 …: nothing of an earlier plan is ever edited. Decisions keep the run's own name.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Literal, Self

from include.retraining.config.model import NAME_PATTERN
from include.retraining.exceptions import ConfigError

STORE_MARKER = "store.json"
OUTBOX = "outbox"
OUTBOX_SENT = "outbox/sent"
SILENCES = "outbox/silences"
THREADS = "outbox/threads"
LAST_WATCH = "watch/last.json"
WATCHED_RUNS = "watch/runs.json"
CHECKED_MODELS = "watch/checked.json"
PUBLISHED_MODELS = "watch/published.json"
OPEN_RUNS = "watch/open"
OPEN_JOBS = "watch/jobs"
OPEN_SCORING_JOBS = "watch/scoring_jobs"

RunKind = Literal["runs", "scoring"]
"""What a run is for, a retraining or a scoring: the name of the folder of its plans."""


def watch_key(place: str) -> str:
    """Return the key of what is raised of a place: `models/NAME`, or `airflow`."""
    return f"watch/{place}.json"


def resume_key(task: str) -> str:
    """Return the key of where a task of the watch goes on."""
    return f"watch/resume/{task}.json"


def open_key(folder: str, model: str, run: str, clear: int) -> str:
    """Return the key of a marker of a run that the watch follows.

    Args:
        folder: `OPEN_RUNS`, `OPEN_JOBS` or `OPEN_SCORING_JOBS`.
        model: whose.
        run: the run's own name.
        clear: which clear of the run.
    """
    return f"{folder}/{model}.{run}.{clear:03d}.json"


def run_key(run_id: str, run_after: datetime) -> str:
    """Return the name of a run's folder: its time, its id made safe, and a hash for uniqueness.

    Args:
        run_id: Airflow's id of the run.
        run_after: the time the run was due; it must know its time zone.
    """
    time = run_after.astimezone(UTC).strftime("%Y%m%dT%H%M%S")
    safe = re.sub(r"[^A-Za-z0-9_.-]+", "_", run_id)[:60]
    return f"{time}-{safe}-{hashlib.sha256(run_id.encode()).hexdigest()[:8]}"


def model_folder(model: str) -> str:
    """Return the folder of everything that belongs to a model."""
    return f"models/{model}"


def promotion_key(model: str, generation: int) -> str:
    """Return the key of one entry of the promotion log."""
    return f"models/{model}/promotions/{generation:08d}.json"


def published_key(model: str) -> str:
    """Return the key of which champion each target of a model has."""
    return f"watch/published/{model}.json"


def looks_folder(model: str) -> str:
    """Return the folder of the looks at a model's holdout."""
    return f"models/{model}/looks"


def look_key(model: str, number: int) -> str:
    """Return the key of one look."""
    return f"{looks_folder(model)}/{number:08d}.json"


def forget_folder(model: str) -> str:
    """Return the folder of the requests to forget keys."""
    return f"models/{model}/forget"


def forget_key(model: str, number: int) -> str:
    """Return the key of one request to forget keys."""
    return f"{forget_folder(model)}/{number:08d}.json"


def version_folder(model: str, version: str) -> str:
    """Return the folder of one version."""
    return f"models/{model}/versions/{version}"


def version_manifest_key(model: str, version: str) -> str:
    """Return the key of a version's manifest."""
    return f"{version_folder(model, version)}/manifest.json"


def version_claim_key(model: str, version: str, number: int, what: str | None = None) -> str:
    """Return the key of a claim to train a version, or of its `beat` or its being `ended`."""
    suffix = "" if what is None else f".{what}"
    return f"{version_folder(model, version)}/claim-{number:03d}{suffix}.json"


def removal_key(model: str, version: str) -> str:
    """Return the key that says that a version is being removed."""
    return f"{version_folder(model, version)}/removal.json"


def scored_folder(model: str) -> str:
    """Return the folder of the records of a model's scoring runs."""
    return f"models/{model}/scored"


def scoring_claim_key(model: str, scores: str, number: int, what: str | None = None) -> str:
    """Return the key of a claim to make some scores, or of its `beat` or its being `ended`.

    Args:
        model: whose.
        scores: which: partition, version and input.
        number: the claim's, from 1.
        what: of the claim.
    """
    suffix = "" if what is None else f".{what}"
    return f"models/{model}/scoring_claims/{scores}/claim-{number:03d}{suffix}.json"


def decisions_folder(model: str) -> str:
    """Return the folder of a model's decision records."""
    return f"models/{model}/decisions"


def grades_folder(model: str, source: str) -> str:
    """Return the folder of a model's grades by labels of one source."""
    return f"models/{model}/grades/{source}"


def grade_key(model: str, source: str, window: str, version: str) -> str:
    """Return the key of what a version scored on the labels of one window."""
    return f"{grades_folder(model, source)}/{window}-{version}.json"


def review_key(model: str, window: str, version: str) -> str:
    """Return the key of the second look at a window of labels."""
    return f"{grades_folder(model, 'labels')}/reviews/{window}-{version}.json"


def labels_by_row_key(model: str, window: str, version: str, digest: str) -> str:
    """Return the key of the labels of a window's rows, by the SHA-256 of the file."""
    return f"{grades_folder(model, 'labels')}/rows/{window}-{version}-{digest[:16]}.parquet"


def profile_key(model: str, version: str) -> str:
    """Return the key of how the training rows of a version are spread."""
    return f"models/{model}/profiles/{version}.json"


def drift_folder(model: str, source: str) -> str:
    """Return the folder of how far a model's inputs of one source drifted."""
    return f"models/{model}/drift/{source}"


def drift_key(model: str, source: str, window: str) -> str:
    """Return the key of how far one input drifted."""
    return f"{drift_folder(model, source)}/{window}.json"


@dataclass(frozen=True)
class RunPaths:
    """The keys of one plan of a run."""

    model: str
    run: str
    """The folder's name: the run's own for its first plan, with `.2`, `.3` … for a later one."""
    kind: RunKind = "runs"

    @property
    def folder(self) -> str:
        """The run's folder."""
        return f"models/{self.model}/{self.kind}/{self.run}"

    @property
    def first_plan(self) -> str:
        """The run's own name, the same for each of its plans."""
        return re.sub(r"(-[0-9a-f]{8})\.\d+$", r"\1", self.run)

    def next_plan(self) -> Self:
        """Return the keys of the run's plan after this one."""
        _, _, number = self.run[len(self.first_plan) :].rpartition(".")
        return replace(self, run=f"{self.first_plan}.{int(number or 1) + 1}")

    @property
    def begun(self) -> str:
        """Marker that the run started; lies in its first plan's folder."""
        return f"{replace(self, run=self.first_plan).folder}/begun.json"

    def goes_on(self, clear: int) -> str:
        """That a task of a cleared run began; beside the folders, so that their listing has it."""
        return f"models/{self.model}/{self.kind}/{self.first_plan}.cleared-{clear:03d}.json"

    @property
    def manifest(self) -> str:
        """The run manifest."""
        return f"{self.folder}/manifest.json"

    def result(self, step: str) -> str:
        """The result of one step."""
        return f"{self.folder}/{step}.json"

    def failure(self, step: str) -> str:
        """What the last failed attempt of a step said."""
        return f"{self.folder}/{step}.failed.json"

    @property
    def evaluation(self) -> str:
        """The evaluation report."""
        return f"{self.folder}/evaluation.json"

    @property
    def predictions(self) -> str:
        """The predictions on the holdout."""
        return f"{self.folder}/predictions.parquet"

    @property
    def importances(self) -> str:
        """What each column is worth to challenger and champion."""
        return f"{self.folder}/evaluate.importances.json"

    def job(self, number: int) -> str:
        """The claim of a job elsewhere, put before it is submitted."""
        return f"{self.folder}/jobs/{number:03d}.json"

    def job_started(self, number: int) -> str:
        """Who runs a claimed job, or that its claim is void."""
        return f"{self.folder}/jobs/{number:03d}.started.json"

    def job_stop(self, number: int) -> str:
        """That a job is to end which its platform cannot end."""
        return f"{self.folder}/jobs/{number:03d}.stop.json"

    def job_ended(self, number: int) -> str:
        """How a job ended whose platform does not say it."""
        return f"{self.folder}/jobs/{number:03d}.ended.json"

    def jobs_ended(self, clear: int) -> str:
        """Every job of a clear of the run that has ended was asked to end."""
        return f"{self.folder}/jobs/ended-{clear}.json"

    def job_reported(self, number: int, step: str) -> str:
        """A step's task has failed because of this job: it is not the reason of the next try."""
        return f"{self.folder}/jobs/{number:03d}.reported-{step}.json"

    def verdict(self, clear: int) -> str:
        """The gate's answer; a cleared run is judged again."""
        return f"{self.folder}/verdict-{clear}.json"

    def approval(self, clear: int) -> str:
        """The answer to a manual approval, or that none came in time."""
        return f"{self.folder}/approval-{clear}.json"

    def scored(self, clear: int) -> str:
        """The record of a scoring run."""
        return f"{scored_folder(self.model)}/{self.first_plan}.{clear:03d}.json"

    @property
    def card(self) -> str:
        """The folder of the model card."""
        return f"{self.folder}/card"

    def decision(self, clear: int) -> str:
        """The decision record; clearing a finished run opens the next."""
        return f"{decisions_folder(self.model)}/{self.first_plan}.{clear:03d}.json"

    def uri(self, store_uri: str) -> str:
        """The address that a job is started with."""
        return f"{store_uri}/{self.folder}"

    @classmethod
    def from_uri(cls, uri: str) -> tuple[str, Self]:
        """Split a run's address into the store's address and the keys.

        Raises:
            ConfigError: when it is not the address of a run.
        """
        match = re.fullmatch(r"(.+)/models/([^/]+)/(runs|scoring)/([A-Za-z0-9_.-]+)/?", uri)
        if not match or not re.fullmatch(NAME_PATTERN, match[2]) or set(match[4]) == {"."}:
            raise ConfigError(
                f"--run {uri!r}: must be STORE/models/NAME/runs/RUN, or …/scoring/RUN to score"
            )
        kind: RunKind = "scoring" if match[3] == "scoring" else "runs"
        return match[1], cls(match[2], match[4], kind)
