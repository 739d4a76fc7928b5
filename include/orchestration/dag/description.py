"""A model's page in the Airflow UI, made from its YAML."""

from __future__ import annotations

from include.retraining.config.model import GatePolicy, ModelConfig

_TIERS = {1: "page someone", 2: "look at it the same day", 3: "look at it when convenient"}


def model_page(config: ModelConfig) -> str:
    """Return the Markdown that says what a model is, when it is retrained and what it must pass."""
    trigger = config.trigger
    schedule = f"`{trigger.schedule}` ({trigger.timezone})" if trigger.schedule else "by hand only"
    gates = "\n".join(f"- {line}" for line in gate_lines(config.gates))
    return f"""# {config.title}

{config.description}

| | |
|---|---|
| Owner | {config.owner} |
| When it fails | tier {config.tier}: {_TIERS[config.tier]} |
| Schedule | {schedule} |
| Must decide | {_deadline(config)} |
| Waits for | `{trigger.flag}`, up to {trigger.timeout_seconds:g} s |
| Data | `{config.data.location}`: {", ".join(f"`{name}`" for name in config.data.files)} |
| Configuration | `include/models/{config.name}.yaml`, `include/models/{config.name}.py` |

A challenger serves only when it passes every gate:

{gates}{_approval(config)}
"""


def _deadline(config: ModelConfig) -> str:
    if config.deadline is None:
        return "whenever it is done"
    by = "" if config.deadline.endswith("after start") else "by "
    return f"{by}{config.deadline}"


def _approval(config: ModelConfig) -> str:
    if config.approval != "required":
        return ""
    return (
        f"\n\nThen a person must approve it, with a note, within {config.approval_hours:g} hours; "
        "without an answer it does not serve."
    )


def gate_lines(gates: GatePolicy) -> list[str]:
    """Return a model's gates in words, one a line."""
    lines = [f"`{gates.metric}` better than a naive baseline"]
    lines += [f"`{metric}` at least {value:g}" for metric, value in gates.minimum.items()]
    margin = gates.champion.margin
    most = "2.8 standard errors of their score" if margin is None else f"{margin:g}"
    lines.append(
        f"`{gates.metric}` not worse than the champion, nor than the best of the last ten, by more "
        f"than {most} (95 % bound)"
    )
    for rule in gates.slices:
        if rule.minimum is not None:
            lines.append(f"`{gates.metric}` at least {rule.minimum:g} for each `{rule.column}`")
        if rule.max_drop is not None:
            lines.append(
                f"`{gates.metric}` at most {rule.max_drop:g} below the champion for each "
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
