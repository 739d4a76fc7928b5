"""What the DAG file of the scoring needs while it is parsed: assets, schedule, limit, page."""

from __future__ import annotations

from datetime import timedelta

from airflow.sdk import Asset, AssetAny, AssetOrTimeSchedule

from include.orchestration.parsing.events import flag_watcher
from include.orchestration.parsing.schedule import cron_timetable
from include.retraining.config.model import ModelConfig
from include.retraining.config.scoring import Scoring

TRIES = 3
BETWEEN_TRIES = timedelta(minutes=5)
FOR_THE_REST = timedelta(minutes=30)


def input_asset(config: ModelConfig, scoring: Scoring) -> Asset:
    """Return the asset whose events say that there is new input to score: its flag is watched.

    Raises:
        ConfigError: when this Airflow has no plugin that watches.
    """
    name = f"{config.name}_input"
    watcher = flag_watcher(config, name, scoring.input.flag, field="scoring.input.flag")
    return Asset(name, watchers=[watcher])


def scores_asset(model: str) -> Asset:
    """Return the asset whose events say that a model left new scores."""
    return Asset(f"{model}_scores")


def scoring_schedule(config: ModelConfig, scoring: Scoring, champion: Asset) -> AssetOrTimeSchedule:
    """Return when a model scores: on new input, on a new champion, and by the clock behind them.

    Raises:
        ConfigError: for a schedule that never comes.
    """
    assets = AssetAny(input_asset(config, scoring), champion)
    clock = cron_timetable(config, "scoring.schedule", scoring.schedule)
    return AssetOrTimeSchedule(timetable=clock, assets=assets)


def scoring_time_limit(scoring: Scoring) -> timedelta:
    """Return the sum of what the parts may take, every retry included."""
    job = timedelta(seconds=scoring.compute.max_seconds)
    return TRIES * (job + 2 * BETWEEN_TRIES) + FOR_THE_REST


def scoring_page(config: ModelConfig, scoring: Scoring) -> str:
    """Return the Markdown that says what is scored, when, and what to do when it fails."""
    carried = ", ".join(f"`{name}`" for name in scoring.carry) or "none"
    return f"""# Scores of {config.title.lower()}

The champion of `{config.name}` scores what lands here. It starts on new input (the asset
`{config.name}_input`), on a new champion (`{config.name}_champion`), and by the clock
(`{scoring.schedule}`), which finds what no event announced.

| | |
|---|---|
| Owner | {config.owner} |
| Waits for | `{scoring.input.flag}` |
| Input | `{scoring.input.location}`: {", ".join(f"`{name}`" for name in scoring.input.files)} |
| Scores | `{scoring.output}` |
| Key | `{scoring.key or config.data.key}`; carried along: {carried} |
| Partitions without scores are taken up | {scoring.look_back_days} days back |
| After a rollback, scored again | {_rescored(scoring)} |
| Labels | {_labels(config)} |
| Configuration | `include/models/{config.name}.yaml`, sections `scoring` and `labels` |

Which partition needs scores, and by which version, is read from the store each time; an event only
starts the run. The same input is scored once by the same version.

Parameters: `date` scores the partition of one day; `rescore_days` widens what is scored again after
a rollback, for this run.

## Triage

- **Skipped after "What is to be scored?"**: nothing is new. Its log says why.
- **Red at "Was everything scored?"**: an input was refused, as it cannot be accepted or breaks the
  contract of the features, or a partition could not be scored. The log says which file or column
  and how many rows. The partition keeps the scores that it had, the others are scored. Ask the
  producer to deliver again, flag last; after any other mend, clear the run from `plan_scoring` on.
- **Red at "What is to be scored?"**: the same, where nothing else was due.
- **Red elsewhere**: the log's first error is one sentence. Infrastructure errors were retried twice
  already. Clear the failed task, or wait for the next run: it takes up what is missing.
"""


def _labels(config: ModelConfig) -> str:
    labels = config.labels
    if labels is None:
        return "not followed"
    return f"from `{labels.location}`, {labels.delay} after; then what was predicted is graded"


def _rescored(scoring: Scoring) -> str:
    if not scoring.rescore_days:
        return "the newest partition"
    return f"those of the last {scoring.rescore_days} days that the rolled-back version scored"
