"""The sections of the dossier, in the order and with the numbers of Annex IV of the EU AI Act.

A statement is a value of a record (`Fact`). What the Annex asks for and no record holds is
`Missing` and has to be written by the provider: nothing is phrased here that could be mistaken for
it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from include.retraining.dossier.sources import Fact, Missing, Source, Sources

Item = Fact | Missing
MAX_FILES = 50
"""Of a delivery, how many files are listed; the version's manifest has all."""
GRADED: dict[str, tuple[str, ...]] = {
    "rows, none of which it had seen": ("rows",),
    "metric": ("metric",),
    "score": ("score", "value"),
    "score, lower end of its interval": ("score", "low"),
    "score, upper end of its interval": ("score", "high"),
    "what the gate had measured": ("promised", "score", "value"),
    "why it could not be judged": ("cannot_judge",),
}
"""What is stated of a grade, each with its place in it."""
NOT_RECORDED = "no record holds it: to be written by the provider"


@dataclass(frozen=True)
class Section:
    """One section."""

    number: str
    """Of the Annex: `1`, or `2(d)`."""
    title: str
    items: tuple[Item, ...]


def make_sections(sources: Sources) -> tuple[Section, ...]:
    """Return every section of Annex IV, those that no record can fill included."""
    return (
        Section("1", "General description", (*_general(sources), *_asked_in_1())),
        Section("2(a)-(c)", "Development: methods, design, resources", (*_development(sources),)),
        Section("2(d)", "Data", (*_data(sources),)),
        Section("2(e), 3", "Human oversight", (*_oversight(sources),)),
        Section("2(f)", "Changes that were determined before", (*_determined(sources),)),
        Section("2(g)", "Validation and testing", (*_testing(sources.decision),)),
        Section("2(h)", "Cybersecurity", _gaps("measures of cybersecurity")),
        Section("3", "Performance of groups, and limits", (*_limits(sources),)),
        Section("4", "Whether the metrics are appropriate", (*_metrics(sources),)),
        Section("5", "Risk management", _gaps("the system of risk management (Article 9)")),
        Section("6", "Changes through the lifecycle", (*_changes(sources.log),)),
        Section("7", "Standards", _gaps("harmonised standards that were applied")),
        Section("8", "Declaration", _gaps("the EU declaration of conformity (Article 47)")),
        Section("9", "Monitoring after the promotion", (*_monitoring(sources),)),
    )


def _gaps(*asked: str) -> tuple[Missing, ...]:
    return tuple(Missing(what, NOT_RECORDED) for what in asked)


def _general(sources: Sources) -> Iterator[Item]:
    plan, version, entry = sources.plan, sources.version, sources.entry
    yield plan.state("name", "config", "title")
    yield plan.state("intended purpose", "config", "description")
    yield plan.state("who answers for it", "config", "owner")
    yield entry.state("champion's version", "version")
    yield entry.state("champion since", "created_at")
    yield entry.state("generation of the promotion log", "generation")
    yield entry.state("how it became the champion", "kind")
    yield from sources.decision.state_if_any("version before", "previous", "version")
    yield version.state("trained at", "created_at")
    yield version.state("fingerprint of data, code and configuration", "fingerprint")
    yield version.state("Python", "code", "python")
    for place, library in version.items("libraries"):
        yield version.state(f"library {library['name']}", "libraries", place, "version")
    yield version.state("commit of the code", "code", "git_sha")
    yield from version.state_if_any("image", "code", "image")
    yield version.state("digest of the lock of all libraries", "code", "lock_digest")


def _asked_in_1() -> tuple[Missing, ...]:
    return _gaps(
        "how it interacts with other hardware and software (1b)",
        "the forms in which it is put into service (1d)",
        "the hardware that it is to run on (1e)",
        "pictures of the product that it is a part of, if it is one (1f)",
        "the user interface of the deployer (1g)",
        "instructions for use (1h)",
    )


def _development(sources: Sources) -> Iterator[Item]:
    plan, version = sources.plan, sources.version
    yield version.state("kind of problem", "problem")
    if plan.at("config", "training", "commands") is None:
        yield plan.state("what makes the model", "config", "training", "entry_point")
    else:
        yield plan.state("what trains it", "config", "training", "commands", "train")
        yield plan.state("what predicts", "config", "training", "commands", "predict")
    yield from version.state_if_any("digest of the code that trains", "code", "training_digest")
    yield version.state("seed of everything random", "seed")
    yield plan.state("what is predicted", "config", "data", "label")
    yield version.state("columns that it reads", "features")
    yield from version.state_if_any("classes", "classes")
    yield sources.decision.state("what is optimised for, the decision metric", "report", "metric")
    yield version.state("training, seconds", "train_seconds")
    yield version.state("peak memory of the training, bytes", "peak_memory_bytes")
    yield version.state("size of the model, bytes", "model_bytes")
    for step in sorted(plan.at("compute") or ()):
        yield plan.state(f"where {step} runs", "compute", step, "backend")
    yield from _gaps(
        "systems or tools of third parties that were used, pre-trained ones included (2a)",
        "key design choices with their reasons, assumptions and trade-offs (2b)",
        "the architecture of the system that uses the predictions (2c)",
    )


def _data(sources: Sources) -> Iterator[Item]:
    plan, version, checked = sources.plan, sources.version, sources.validation
    yield plan.state("delivery", "delivery", "location")
    yield version.state("date of the data", "data_date")
    files = list(version.items("data"))
    for place, file in files[:MAX_FILES]:
        yield version.state(f"SHA-256 of {file['name']}", "data", place, "sha256")
        yield version.state(f"bytes of {file['name']}", "data", place, "size")
    if len(files) > MAX_FILES:
        more = f"{len(files) - MAX_FILES:,} more files of the delivery"
        yield Missing(more, f"not listed here: see `data` in {version.key}")
    yield checked.state("rows of the delivery", "rows")
    yield version.state("rows that it was trained on", "train_rows")
    yield checked.state("rows that the split held out", "holdout_rows")
    yield from checked.state_if_any("share of positive rows", "label_rate")
    yield version.state("how the holdout was chosen", "split", "by")
    yield from version.state_if_any("share of the holdout", "split", "holdout_fraction")
    yield from version.state_if_any("trained on rows until", "split", "train_until")
    forgotten = ("forgotten", "pinned")
    yield from version.state_if_any("keys that it was made to forget", *forgotten, "keys")
    yield from version.state_if_any("digest of these keys", *forgotten, "digest")
    yield from version.state_if_any("rows left out for them", "forgotten", "rows")
    yield checked.state("rules that the data passed", "checks")
    yield checked.state("bad data that the contract was proved to refuse", "refused_canaries")
    yield plan.state("column that names a row", "config", "data", "key")
    for place, item in plan.items("config", "data", "protected"):
        what = f"protected attribute {item['name']}, which no feature may be"
        yield plan.state(what, "config", "data", "protected", place, "name")
    yield from plan.state_if_any("columns that it may not read", "config", "data", "never_features")
    yield from _gaps(
        "where the data come from and how they were obtained and selected",
        "how the data were labelled and cleaned",
        "which biases were looked for in the data beyond the rules above",
    )


def _oversight(sources: Sources) -> Iterator[Item]:
    record, plan = sources.decision, sources.plan
    yield plan.state("whether someone must approve a promotion", "config", "approval")
    if plan.at("config", "approval") == "required":
        yield record.state("what was answered", "approval", "choice")
        yield record.state("who answered", "approval", "by")
        yield record.state("why, in their words", "approval", "note")
        yield record.state("when", "approval", "answered_at")
    yield sources.entry.state("who or what made it the champion", "actor")
    yield from sources.entry.state_if_any("the reason that was given", "reason")
    yield sources.entry.state("whether automatic promotion is on hold", "is_held")
    yield from _gaps(
        "who oversees single predictions, and how they may be overridden (Article 14)",
        "technical measures that help deployers to interpret an output",
    )


def _determined(sources: Sources) -> Iterator[Item]:
    plan = sources.plan
    yield from plan.state_if_any("trained again by this schedule", "config", "trigger", "schedule")
    yield plan.state("trained again when this flag is written", "config", "trigger", "flag")
    yield plan.state("digest of the rules that a new version must pass", "policy_digest")
    yield plan.state("the metric that decides", "config", "gates", "metric")
    for metric in sorted(plan.at("config", "gates", "minimum") or ()):
        yield plan.state(f"least {metric}", "config", "gates", "minimum", metric)


def _testing(record: Source) -> Iterator[Item]:
    yield record.state("run that judged it", "run_id")
    yield record.state("evaluated at", "report", "created_at")
    yield record.state("rows of the holdout", "report", "holdout", "rows")
    yield record.state("digest of the holdout", "report", "holdout", "digest")
    yield record.state("rows that training saw too", "report", "holdout", "rows_in_training")
    contenders = {
        "this version": ("report", "challenger"),
        "naive baseline": ("report", "baseline"),
        "champion before": ("report", "champion", "scores"),
    }
    for who, path in contenders.items():
        for metric in sorted(record.at(*path, "metrics") or ()):
            yield record.state(f"{metric}, {who}", *path, "metrics", metric)
    for who, path in {
        "the champion before": ("report", "champion", "comparison"),
        "the naive baseline": ("report", "against_baseline"),
    }.items():
        yield from record.state_if_any(f"lead over {who}", *path, "difference")
        yield from record.state_if_any(
            f"lead over {who}, lower end of its interval", *path, "lower"
        )
        yield from record.state_if_any(
            f"lead over {who}, upper end of its interval", *path, "upper"
        )
        yield from record.state_if_any(f"lead over {who}, level of its interval", *path, "level")
    yield from record.state_if_any("tries on these rows", "report", "tried", "number")
    yield record.state("answer of the quality gate", "verdict", "answer")
    for place, gate in record.items("verdict", "gates"):
        yield record.state(f"{gate['gate']}: answer", "verdict", "gates", place, "answer")
        for name in ("value", "limit"):
            if gate[name] is not None:
                yield record.state(f"{gate['gate']}: {name}", "verdict", "gates", place, name)
    yield record.state("digest of the report that was judged", "verdict", "report_digest")
    yield from _gaps("who signed the tests, and when")


def _limits(sources: Sources) -> Iterator[Item]:
    record = sources.decision
    yield sources.version.state(
        "types of the columns that it reads, in their order", "feature_types"
    )
    if not record.at("report", "slices"):
        yield Missing("performance of subgroups", "the rules name no slice (gates.slices)")
    for place, item in record.items("report", "slices"):
        group = f"{item['column']} = {item['value']}"
        path = ("report", "slices", place)
        yield record.state(f"rows of {group}", *path, "rows")
        yield from record.state_if_any(f"metric of {group}", *path, "challenger")
        yield record.state(f"whether {group} was judged", *path, "is_judged")
    if not record.at("report", "fairness"):
        yield Missing("rates of protected groups", "the rules name none (gates.fairness)")
    for place, audit in record.items("report", "fairness"):
        yield from _audit(record, place, audit["attribute"])
    yield from _gaps(
        "foreseeable unintended outcomes, and risks to health, safety and fundamental rights",
    )


def _audit(record: Source, place: int, attribute: str) -> Iterator[Item]:
    """Yield how the groups of a protected attribute are treated."""
    path = ("report", "fairness", place)
    yield from record.state_if_any(f"{attribute}: disparate impact", *path, "disparate_impact")
    yield from record.state_if_any(
        f"{attribute}: equalised odds", *path, "equalized_odds_difference"
    )
    for number, group in record.items(*path, "groups"):
        for name in ("rows", "selection_rate", "true_positive_rate", "false_positive_rate"):
            what = f"{attribute} {group['group']}: {name.replace('_', ' ')}"
            yield from record.state_if_any(what, *path, "groups", number, name)


def _metrics(sources: Sources) -> Iterator[Item]:
    plan = sources.plan
    yield plan.state("metric that decides", "config", "gates", "metric")
    yield from plan.state_if_any("metrics that are reported beside it", "config", "gates", "report")
    yield from plan.state_if_any("metrics of the team's own", "config", "gates", "own_metrics")
    yield from _gaps("why these metrics are appropriate for the purpose")


def _changes(log: Sequence[Source]) -> Iterator[Item]:
    """Yield what each entry of the promotion log changed."""
    for entry in log:
        number = entry.at("generation")
        yield entry.state(f"generation {number}: what", "kind")
        for name in ("created_at", "version", "data_date", "metric", "value", "actor", "reason"):
            if entry.at(name) is not None:
                yield entry.state(f"generation {number}: {name.replace('_', ' ')}", name)


def _monitoring(sources: Sources) -> Iterator[Item]:
    plan = sources.plan
    yield plan.state("how old its data may be, days", "config", "max_champion_age_days")
    yield plan.state("by when a run must have decided", "config", "deadline")
    if not sources.grades:
        what = "what it scored on labels that came later"
        yield Missing(what, f"the store has no grade of it (models/{sources.model}/grades/)")
    for grade in sources.grades:
        when = f"labels of {grade.at('date')} ({grade.at('source')})"
        for what, path in GRADED.items():
            yield from grade.state_if_any(f"{when}: {what}", *path)
    yield from _gaps("the plan of monitoring after it was put into service (Article 72)")
