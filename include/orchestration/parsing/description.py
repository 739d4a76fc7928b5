"""A model's page in the Airflow UI, made from its YAML."""

from __future__ import annotations

from include.retraining.config.model import GatePolicy, ModelConfig
from include.retraining.formatting.numbers import (
    better_words,
    bound_words,
    metric_name,
    metric_value,
)

_TIERS = {1: "page someone", 2: "see to it the same day", 3: "see to it when convenient"}

_HOW_A_RUN_GOES = """## How a run goes

The run waits for a complete delivery, pins it, checks it, trains a challenger, scores challenger
and champion on the same holdout, and promotes the challenger only when every gate passes.
Each run leaves one decision record in the store, a "no" included.

Parameters: `dry_run` decides and changes nothing; `force_retrain` (with a `reason`) trains although
nothing changed; `date` chooses the data of another day.

## Triage

- **Red at "Challenger rejected"**: no fault of the pipeline. The reason is the first line of that
  task's log and in the message. The champion is unchanged. Nothing needs to be done today.
- **Red at "Wait for the data"**: the delivery did not come, or is not complete; the log says which
  file. Ask the producer. Once it is there, clear this task.
- **Red at "Check the data"**: the data breaks its contract. Ask the producer to deliver again, flag
  last; the next run takes it. Clearing the task reads the same files again.
- **Waiting at "Manual approval"**: every gate passed, and someone must approve: "Required actions"
  of that task shows the evidence. Approve with a note, or reject. No answer in time is a rejection.
- **Red elsewhere**: the log's first error is one sentence. Infrastructure errors were retried twice
  already. Clearing the failed task keeps the verified steps before it.
- **"Late"** in a message: no decision by the model's deadline. Open the task that is not done.
- **"Nothing changed" is green**: the same data, code and configuration were decided on before.
- **To undo a promotion**: trigger the DAG `rollback_model`, with its dry run first.
"""


def model_page(config: ModelConfig) -> str:
    """Return the Markdown that says what a model is, when it is retrained and what it must pass."""
    trigger = config.trigger
    schedule = f"`{trigger.schedule}` ({trigger.timezone})" if trigger.schedule else "manual only"
    gates = "\n".join(f"- {line}" for line in gate_lines(config.gates))
    return f"""# {config.title}

{config.description}

| | |
|---|---|
| Owner | {config.owner} |
| When it fails | tier {config.tier}: {_TIERS[config.tier]} |
| Schedule | {schedule} |{_events(config)}
| Must decide | {_deadline(config)} |
| Waits for | `{trigger.flag}`, up to {trigger.timeout_seconds:g} s |
| Data | `{config.data.location}`: {", ".join(f"`{name}`" for name in config.data.files)} |
| Configuration | `include/models/{config.name}.yaml`, `include/models/{config.name}.py` |

A challenger is promoted only when it passes every gate:

{gates}{_approval(config)}

{_HOW_A_RUN_GOES}"""


def _events(config: ModelConfig) -> str:
    """Return the row on what starts a run before its schedule; nothing where nothing does."""
    on = config.trigger.on
    if on is None:
        return ""
    events = [
        *(["its flag lands"] if on.delivery else []),
        *(f"`{uri}` changes" for uri in on.assets),
    ]
    return f"\n| Starts before, when | {' or '.join(events)} |"


def _deadline(config: ModelConfig) -> str:
    if config.deadline is None:
        return "whenever it is done"
    by = "" if config.deadline.endswith("after start") else "by "
    return f"{by}{config.deadline}"


def _approval(config: ModelConfig) -> str:
    if config.approval != "required":
        return ""
    return (
        f"\n\nThen someone must approve it, with a note, within {config.approval_hours:g} hours; "
        "without an answer it does not serve."
    )


def gate_lines(gates: GatePolicy) -> list[str]:
    """Return a model's gates in words, one a line."""
    decides = metric_name(gates.metric)
    lines = [f"{decides} ({better_words(gates.metric)}) better than a naive baseline"]
    lines += [_bound(metric, value) for metric, value in gates.minimum.items()]
    margin = gates.champion.margin
    most = "2.8 standard errors of their score" if margin is None else f"{margin:g}"
    lines.append(
        f"{decides} not worse than the champion, nor than the best of the last ten, by more "
        f"than {most} (95 % bound)"
    )
    for rule in gates.slices:
        if rule.minimum is not None:
            lines.append(f"{_bound(gates.metric, rule.minimum)} for each `{rule.column}`")
        if rule.max_drop is not None:
            lines.append(
                f"{decides} at most {rule.max_drop:g} worse than the champion's for each "
                f"`{rule.column}`"
            )
    for fairness in gates.fairness:
        if fairness.min_disparate_impact is not None:
            lines.append(
                f"selection rates by {fairness.attribute}: lowest at least "
                f"{fairness.min_disparate_impact:g} of the highest"
            )
        if fairness.max_equalized_odds_difference is not None:
            lines.append(
                f"error rates by {fairness.attribute}: at most "
                f"{fairness.max_equalized_odds_difference:g} apart"
            )
    if gates.limits.latency_ms_per_1000_rows is not None:
        lines.append(f"1,000 rows in {gates.limits.latency_ms_per_1000_rows:g} ms at most")
    if gates.limits.model_mb is not None:
        lines.append(f"{gates.limits.model_mb:g} MB at most")
    return [*lines, f"all on at least {gates.min_holdout_rows} holdout rows"]


def _bound(metric: str, least: float) -> str:
    """Return a limit of a metric in words: of an error, the most."""
    return f"{metric_name(metric)} {bound_words(metric)} {metric_value(metric, least):g}"
