"""A model's YAML: every mistake is named with file, field and what is allowed."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from include.retraining.config.model import (
    METRICS,
    MODELS_FOLDER,
    ModelConfig,
    load_model,
    model_names,
    parse_model,
    parse_policy,
)
from include.retraining.config.schema import schema
from include.retraining.exceptions import ConfigError, NotFound
from tests.support.gate_checks import STRICT_POLICY
from tests.support.run_factory import CONFIG

WHERE = "include/models/toy_model.yaml"
GOOD: dict[str, Any] = {
    "name": "toy_model",
    "title": "Toy",
    "description": "For tests.",
    "owner": "tests",
    "problem": "binary",
    "trigger": {"schedule": "0 6 * * *", "timezone": "Europe/Paris", "flag": "in/{date}/_SUCCESS"},
    "data": {
        "location": "in/{date}",
        "key": "id",
        "label": "label",
        "positive": 1,
        "protected": [{"name": "race", "column": "race"}, {"name": "sex", "one_hot": ["m", "f"]}],
        "split": {"by": "key", "salt": "pepper"},
        "label_rate": {"min": 0.1, "max": 0.9},
        "freshness": {"column": "day", "max_age_days": 30},
    },
    "training": {"seed": 1},
    "gates": STRICT_POLICY,
}


PODS = {
    "backend": "kubernetes",
    "image": f"training@sha256:{'0' * 64}",
    "namespace": "jobs",
    "cpu": 1,
    "memory": "1GiB",
}


def changed(path: str, value: Any, values: dict[str, Any] = GOOD) -> dict[str, Any]:
    """The good configuration with one field changed, added, or removed (`...`)."""
    values = json.loads(json.dumps(values))
    *parents, last = [int(part) if part.isdigit() else part for part in path.split(".")]
    at = values
    for part in parents:
        at = at[part]
    if value is ...:
        del at[last]
    else:
        at[last] = value
    return values


def parse(values: dict[str, Any]) -> ModelConfig:
    """Parse a configuration that is written as YAML."""
    return parse_model(yaml.safe_dump(values), where=WHERE)


def test_a_good_configuration() -> None:
    """The good configuration of these tests is one, so each test fails by its own change."""
    config = parse(GOOD)
    assert config.dag_id == "retrain_toy_model"
    assert config.protected_columns == {"race", "m", "f"}
    assert config.gates.metrics == ("accuracy", "roc_auc")


def test_a_file_that_is_nested_without_end() -> None:
    """What no parser can follow is a mistake in the file, and said as one."""
    with pytest.raises(ConfigError, match=r"not readable as YAML: .*nest"):
        parse_model("[" * 5_000 + "]" * 5_000, where=WHERE)


MISTAKES = [
    ("gates.slices.0.column", "race", "gates.slices: 'race' is protected, and messages name"),
    ("data.label_rate", {"min": 60, "max": 80}, "data.label_rate: is a share of the rows, from 0"),
    (
        "data.label_rate",
        {"min": 0, "max": 80},
        "data.label_rate: is a share of the rows, from 0 to 1, not a percentage: 80 % is 0.8",
    ),
    ("nme", "x", "nme: is not a field (did you mean 'name'?); allowed: name, title"),
    ("owner", ..., "owner: is missing"),
    ("data.key", ..., "data.key: is missing"),
    ("name", "Toy", "name: "),
    ("name", "toy\n", "name: "),
    ("name", "../toy", "name: "),
    ("tier", 4, "tier: Input should be 1, 2 or 3, is 4"),
    ("problem", "ranking", "problem: Input should be 'binary', 'multiclass' or 'regression'"),
    ("trigger.schedule", "every day", "trigger.schedule: 'every day' is not a cron expression"),
    ("trigger.schedule", "0 6 * *", "trigger.schedule: "),
    ("trigger.timezone", "Paris", "trigger.timezone: 'Paris' is not an IANA time zone"),
    ("trigger.timezone", "../x", "trigger.timezone: "),
    ("trigger.poke_seconds", 0, "trigger.poke_seconds: "),
    ("trigger.poke_seconds", math.nan, "trigger.poke_seconds: "),
    ("trigger.timeout_seconds", math.inf, "trigger.timeout_seconds: "),
    ("trigger.flag", "ftp://b/ready", "trigger.flag: ftp:// is not a place that can be waited on"),
    ("data.location", "abfs://b/in", "data.location: abfs:// is not a place that can be waited on"),
    ("trigger.flag", "/etc/passwd", "trigger.flag: a path without a scheme is relative"),
    ("trigger.flag", "../x", "trigger.flag: '..', '\\' and NUL are not allowed"),
    ("trigger.flag", "s3://landing/50%/x", "trigger.flag: '%' is not allowed in a path"),
    ("data.location", "landing/new#2", "data.location: '#' is not allowed in a path"),
    ("trigger.flag", "s3://b/../x", "trigger.flag: '..'"),
    ("trigger.flag", "http://169.254.169.254/x", "trigger.flag: http:// is not a place"),
    ("trigger.flag", "in/{day}/x", "trigger.flag: {day} is not known; allowed: {date}"),
    ("trigger.sensor", "x", "trigger.sensor: is not a field; allowed: schedule, on, timezone"),
    ("data.location", "C:\\x", "data.location: "),
    ("data.files", ["sub/x.csv"], "data.files: 'sub/x.csv': files lie directly"),
    (
        "data.files",
        ["x.xlsx"],
        "data.files: 'x.xlsx': allowed endings are .csv, .csv.gz",
    ),
    ("data.files", [".x.csv"], "data.files: "),
    ("data.files", "*.csv", 'data.files: must be a list, like ["*.csv"]'),
    ("gates.report", "roc_auc", 'gates.report: must be a list, like ["roc_auc"]'),
    ("data.never_features", None, "data.never_features: must be a list, is None"),
    ("data.protected", {"name": "race"}, "data.protected: must be a list, is {'name': 'race'}"),
    ("gates", "roc_auc", "gates: must be a mapping of fields, is 'roc_auc'"),
    (
        "data.csv",
        {"separator": r"\t"},
        r"""data.csv.separator: String should have at most 1 character, is '\\t': in double """,
    ),
    (
        "data.csv",
        {"quote": "\\x1f"},
        r"""data.csv.quote: String should have at most 1 character, is '\\x1f': in double quotes""",
    ),
    ("data.positive", [1], "data.positive: must be a whole number or text, is [1]"),
    ("data.positive", 0.5, "data.positive: must be a whole number or text, is 0.5"),
    ("data.positive", ..., "data.positive: give it for a binary problem"),
    (
        "data.positive",
        True,
        "data.positive: YAML reads yes, on and true as a truth value: put the word in quotes, for",
    ),
    ("data.positive", False, "data.positive: YAML reads no, off and false as a truth value: put"),
    (
        "data.csv",
        {"missing": [False]},
        "data.csv.missing.0: must be text: YAML reads no, off and false as a truth value: put the",
    ),
    (
        "data.csv",
        {"missing": ["NA", None]},
        "data.csv.missing.1: must be text: YAML reads null, ~ and nothing at all as no value: put",
    ),
    (
        "data.csv",
        {"missing": [-9]},
        "data.csv.missing.0: must be text: YAML reads what stands here as the number -9: put it in",
    ),
    (
        "data.never_features",
        [date(2026, 11, 24)],
        "data.never_features.0: must be text: YAML reads what stands here as a date: put it in q",
    ),
    ("training.trusted_types", [["x"]], "training.trusted_types.0: Input should be a valid string"),
    (
        "data.protected.0.labels",
        {"1": False},
        "data.protected.0.labels.1: must be text: YAML reads no, off and false as a truth value",
    ),
    ("data.split.by", "chance", "data.split.by: Input should be 'key', 'time', is 'chance'"),
    ("data.split.salt", ..., "data.split.salt: is missing"),
    ("data.split.slat", "x", "data.split.slat: is not a field (did you mean 'salt'?); allowed"),
    ("data.split.by", ..., "data.split.by: is missing"),
    ("data.split.key", "x", "data.split.key: is not a field; allowed: by, holdout_fraction, salt"),
    ("trigger.key", "x", "trigger.key: is not a field; allowed: schedule"),
    ("data.split.holdout_fraction", 1.0, "data.split.holdout_fraction: "),
    (
        "data.split.holdout_fraction",
        30,
        "data.split.holdout_fraction: Input should be less than 1, is 30: 30 % is 0.3",
    ),
    ("data.split", {"by": "time", "column": "day"}, "data.split.holdout_days: is missing"),
    ("data.protected.0.one_hot", ["a"], "data.protected.0: give either `column` or `one_hot`"),
    ("data.protected.1.name", "race", "data.protected: a name is used twice"),
    ("data.label_rate", {"min": 0.9, "max": 0.1}, "data.label_rate: min 0.9 is above max 0.1"),
    ("data.min_rows", 0, "data.min_rows: "),
    ("training.seed", -1, "training.seed: "),
    ("training.entry_point", "os.system", "training.entry_point: "),
    ("gates.metric", "acuracy", "gates: 'acuracy' is not a metric for a binary problem (did you"),
    ("gates.metric", "r2", "gates: 'r2' is not a metric for a binary problem; allowed: accuracy"),
    ("gates.minimum", {"goodness": 1}, "gates: 'goodness' is not a metric"),
    ("gates.minimum.accuracy", math.nan, "gates.minimum.accuracy: "),
    ("gates.minimum.accuracy", "high", "gates.minimum.accuracy: "),
    ("gates.minimum.accuracy", None, "gates.minimum.accuracy: "),
    ("gates.minimum.accuracy", True, "gates.minimum.accuracy: Input should be a valid number, is"),
    ("gates.minimum.accuracy", "0.8", "gates.minimum.accuracy: Input should be a valid number, is"),
    ("gates.min_holdout_rows", True, "gates.min_holdout_rows: "),
    ("gates.limits.model_mb", "10", "gates.limits.model_mb: "),
    ("gates.champion.margin", math.nan, "gates.champion.margin: "),
    ("gates.champion.margin", -0.1, "gates.champion.margin: "),
    ("gates.min_holdout_rows", 0, "gates.min_holdout_rows: "),
    (
        "gates.minimum",
        {"accuracy": 95},
        "gates.minimum.accuracy: is 95, accuracy lies from 0 to 1: 95 % ",
    ),
    (
        "gates.minimum",
        {"neg_log_loss": 0.3},
        "gates.minimum.neg_log_loss: is 0.3, neg_log_loss is at",
    ),
    ("gates.minimum", {"roc_auc": -7}, "gates.minimum.roc_auc: is -7, roc_auc lies from 0 to 1"),
    (
        "gates.champion.margin",
        5,
        "gates.champion.margin: is 5, which allows anything: accuracy ",
    ),
    ("gates.slices", [{"column": "x", "minimum": 60}], "gates.slices.0.minimum: is 60, accuracy "),
    ("gates.slices", [{"column": "x", "max_drop": 1}], "gates.slices.0.max_drop: is 1, which "),
    ("gates.slices", [{"column": "x"}], "gates.slices.0: a slice needs `minimum` or `max_drop`"),
    (
        "gates.fairness.0.attribute",
        "age",
        "gates.fairness: 'age' is not a protected attribute; all",
    ),
    ("gates.fairness.0", {"attribute": "race"}, "gates.fairness.0: give `min_disparate_impact`"),
    ("gates.fairness.0.min_disparate_impact", 1.2, "gates.fairness.0.min_disparate_impact: "),
    (
        "gates.fairness.0.min_disparate_impact",
        80,
        "gates.fairness.0.min_disparate_impact: Input should be less than or equal to 1, is 80: 80",
    ),
    ("gates.limits.model_mb", 0, "gates.limits.model_mb: "),
    ("gates.on_rejection", "ignore", "gates.on_rejection: Input should be 'fail' or 'succeed'"),
    (
        "compute",
        {"train_model": {"backend": "moon"}},
        "compute.train_model.backend: 'moon' is not a backend; allowed: local, batch, kubernetes",
    ),
    ("compute", {"train": {}}, "compute.train: is not a field (did you mean 'train_model'?); all"),
    (
        "compute",
        {"train_model": {"cpu": {"per_gib_of_data": 1, "min": 0, "max": 2}}},
        "compute.train_model.cpu.min: Input should be greater than 0",
    ),
    (
        "compute",
        {"train_model": PODS | {"node_selector": {"local": 1}}},
        "compute.train_model.node_selector.local: must be text: ",
    ),
    (
        "alerts",
        {"by_kind": {"brokn": "slack_on_call"}},
        "alerts.by_kind.brokn: Input should be 'broken', 'rejected', 'waiting' or 'good_news', is",
    ),
    ("alerts", {"conection": "x"}, "alerts.conection: is not a field (did you mean 'connection'?)"),
]


@pytest.mark.fault("F04")
@pytest.mark.parametrize(("path", "value", "says"), MISTAKES, ids=lambda item: str(item)[:40])
def test_mistakes(path: str, value: Any, says: str) -> None:
    """Every mistake is named in one line: the file, the field and what is allowed there."""
    with pytest.raises(ConfigError) as raised:
        parse(changed(path, value))
    lines = str(raised.value).split("\n")
    assert any(line.startswith(f"{WHERE}: {says}") for line in lines), lines
    assert all(line.startswith(f"{WHERE}: ") for line in lines)
    assert "Value error" not in str(raised.value)


@pytest.mark.parametrize("problem", ["multiclass", "regression"])
def test_what_only_a_binary_problem_has(problem: str) -> None:
    """A positive value, a label rate and fairness are refused for another problem, one by one."""
    values = changed("problem", problem)
    values["gates"] = {"metric": "accuracy" if problem == "multiclass" else "r2"}
    with pytest.raises(ConfigError, match=r"data\.positive: give it for a binary problem"):
        parse(values)
    del values["data"]["positive"]
    with pytest.raises(ConfigError, match=r"data\.label_rate: only a binary problem"):
        parse(values)
    del values["data"]["label_rate"]
    assert parse(values).problem == problem
    values["gates"]["fairness"] = STRICT_POLICY["fairness"]
    with pytest.raises(ConfigError, match=r"gates\.fairness: selection rates need a binary"):
        parse(values)


def test_every_mistake_is_named_at_once() -> None:
    """Several mistakes are several lines."""
    values = changed("owner", ...)
    values["training"]["seed"] = "x"
    with pytest.raises(ConfigError) as raised:
        parse(values)
    assert len(str(raised.value).split("\n")) == 2


def test_senseless_gates_are_told_beside_mistakes_elsewhere() -> None:
    """What can be said of the gates alone does not wait for the other sections to be right."""
    values = changed("gates.minimum", {"accuracy": 95}, changed("data.positive", True))
    values["trigger"]["schedule"] = "@dialy"
    with pytest.raises(ConfigError) as raised:
        parse(values)
    schedule, positive, minimum = str(raised.value).split("\n")
    assert "'@dialy' is not a cron" in schedule
    assert "truth value" in positive
    assert minimum.startswith(f"{WHERE}: gates.minimum.accuracy: is 95, accuracy lies from 0 to 1")


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "must be a mapping of fields, is NoneType"),
        ("- a", "must be a mapping of fields, is list"),
        ("a: [", "not readable as YAML"),
        ("a: 1\na: 2", "the key 'a' is given twice"),
        ("a: {b: 1, b: 2}", "the key 'b' is given twice"),
        ("a: !!python/object/apply:os.system ['true']", "not readable as YAML"),
        ("[a, b]: 1", "not readable as YAML"),
        ("{a: 1}: 1", "not readable as YAML"),
        ("a: \x00", "not readable as YAML"),
        ("1: x", "the name of a field must be text, is 1; YAML reads what stands here as the n"),
        ("data: {no: x}", "text, is False; YAML reads no, off and false as a truth value: put the"),
    ],
)
def test_what_is_no_mapping(text: str, says: str) -> None:
    """Unreadable YAML, a key given twice and code in disguise are errors in one line."""
    with pytest.raises(ConfigError) as raised:
        parse_model(text, where=WHERE)
    assert f"{WHERE}: " in str(raised.value)
    assert says in str(raised.value)


JUNK = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3)
    ),
    max_leaves=6,
)


def paths(value: Any, prefix: str = "") -> Iterator[str]:
    """Every field of a configuration, by its dotted path."""
    for name, item in (
        value.items()
        if isinstance(value, dict)
        else enumerate(value)
        if isinstance(value, list)
        else ()
    ):
        yield f"{prefix}{name}"
        yield from paths(item, f"{prefix}{name}.")


@settings(max_examples=120, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(path=st.sampled_from(sorted(paths(GOOD))), junk=JUNK)
def test_anything_in_any_field(path: str, junk: Any) -> None:
    """Whatever stands in whatever field, it is accepted or named with its file and field."""
    try:
        config = parse_model(yaml.safe_dump(changed(path, junk)), where=WHERE)
    except ConfigError as error:
        top = path.split(".", maxsplit=1)[0]
        for line in str(error).split("\n"):
            assert re.match(rf"{re.escape(WHERE)}: ({top}|data|gates)\b", line), line
    else:
        assert ModelConfig.model_validate(config.model_dump(mode="json")) == config


@settings(max_examples=100, deadline=None)
@given(text=st.text(max_size=200) | st.binary(max_size=50).map(lambda data: data.decode("latin1")))
def test_any_text_at_all(text: str) -> None:
    """No text makes the parser raise anything but its own error."""
    with pytest.raises(ConfigError):
        parse_model(text, where=WHERE)


KNOWN_WORDS = schema()


@settings(max_examples=50, deadline=None)
@given(word=st.text(alphabet="abcdefghijklmnopqrstuvwxyz_", min_size=1, max_size=12))
def test_any_unknown_field_in_any_section(word: str) -> None:
    """A field that nobody declared is refused in every section, and the allowed ones are listed."""
    if word in KNOWN_WORDS:
        return
    for section in ("trigger", "data", "training", "gates"):
        with pytest.raises(ConfigError, match=rf"{section}\.{word}: is not a field.*allowed: "):
            parse(changed(f"{section}.{word}", 1))


def test_a_configuration_survives_its_manifest() -> None:
    """What a manifest stores parses to the same configuration with the same digest."""
    config = parse(GOOD)
    again = ModelConfig.model_validate(json.loads(json.dumps(config.model_dump(mode="json"))))
    assert again == config
    assert again.digest == config.digest
    assert again.gates.digest == config.gates.digest


def test_the_training_view_holds_only_what_changes_the_model() -> None:
    """Gates, alerts, schedule and compute do not change the model; label, split and seed do."""
    view = parse(GOOD).training_view
    for path, value in (
        ("gates.champion.margin", 0.5),
        ("trigger.schedule", None),
        ("owner", "others"),
        ("data.min_rows", 7),
        ("compute", {"train_model": {"cpu": 1}}),
    ):
        assert parse(changed(path, value)).training_view == view
    for path, value in (
        ("data.label", "other"),
        ("data.split.salt", "sugar"),
        ("training.seed", 2),
        ("data.never_features", ["x"]),
    ):
        assert parse(changed(path, value)).training_view != view


def test_a_split_by_time_counts_as_before_there_were_windows() -> None:
    """One window and no gap train the same model as a YAML that names neither; others do not."""
    by_time = {"by": "time", "column": "day", "holdout_days": 7}
    view = parse(changed("data.split", by_time)).training_view
    assert view["data"]["split"] == {"by": "time", "column": "day", "holdout_days": 7.0}
    same = {**by_time, "windows": 1, "gap_days": 0}
    assert parse(changed("data.split", same)).training_view == view
    for field, value in (("windows", 4), ("gap_days", 7)):
        other = parse(changed("data.split", {**by_time, field: value}))
        assert other.training_view["data"]["split"] == {**view["data"]["split"], field: value}


# Files.


def test_models_that_ship() -> None:
    """Every model in the repository is valid."""
    assert model_names()
    for name in model_names():
        assert load_model(name).name == name


def write_model(folder: Path, name: str, values: dict[str, Any]) -> None:
    """Write a model's YAML and an empty Python file."""
    (folder / f"{name}.yaml").write_text(yaml.safe_dump(values))
    (folder / f"{name}.py").write_text("")


def test_a_model_is_found_by_its_name(tmp_path: Path) -> None:
    """A name that is no model is answered with the nearest and with all there are."""
    write_model(tmp_path, "toy_model", GOOD)
    assert load_model("toy_model", tmp_path).name == "toy_model"
    with pytest.raises(NotFound, match=r"no model 'toy_modle'; did you mean 'toy_model'\? \(there"):
        load_model("toy_modle", tmp_path)
    with pytest.raises(NotFound, match="none"):
        load_model("x", tmp_path / "nowhere")
    with pytest.raises(NotFound):
        load_model("../toy_model", tmp_path)


def test_a_file_that_does_not_fit(tmp_path: Path) -> None:
    """The name must be the file's, and the Python file must lie beside it."""
    write_model(tmp_path, "other", GOOD)
    with pytest.raises(ConfigError, match=r"other\.yaml: name: is 'toy_model', must be 'other'"):
        load_model("other", tmp_path)
    write_model(tmp_path, "toy_model", GOOD)
    (tmp_path / "toy_model.py").unlink()
    with pytest.raises(ConfigError, match=r"toy_model\.yaml: toy_model\.py is missing beside it"):
        load_model("toy_model", tmp_path)


# Policies to try.


def test_a_policy_is_a_whole_model_or_its_gates() -> None:
    """Rules to try may stand in a whole YAML or alone."""
    gates = {"gates": {"metric": "roc_auc"}}
    alone = parse_policy(yaml.safe_dump(gates), CONFIG, where="new.yaml")
    whole = parse_policy(yaml.safe_dump({**GOOD, **gates}), CONFIG, where="new.yaml")
    assert alone == whole
    assert alone.metric == "roc_auc"


@pytest.mark.fault("F20")
@pytest.mark.parametrize(
    ("values", "says"),
    [
        ({"name": "x"}, "new.yaml: gates: is missing"),
        ({"gates": {"metric": "r2"}}, "new.yaml: gates: 'r2' is not a metric for a binary"),
        ({"gates": {}}, "new.yaml: gates.metric: is missing"),
        ({"gates": None}, "new.yaml: gates: "),
    ],
)
def test_a_policy_that_does_not_fit(values: dict[str, Any], says: str) -> None:
    """Rules that do not fit the model are refused like those of a model (F20)."""
    with pytest.raises(ConfigError) as raised:
        parse_policy(yaml.safe_dump(values), CONFIG, where="new.yaml")
    assert says in str(raised.value)


# The schema.


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"trigger.flag": "file:///in/_SUCCESS"}, None),
        ({"trigger.flag": "file:///in/_SUCCESS", "data.location": "file:///in"}, None),
        (
            {"trigger.flag": "file:///in/_SUCCESS", "data.location": "s3://bucket/in"},
            "trigger.flag and data.location: must be of the same kind: both file://",
        ),
        ({"trigger.flag": "gs://b/in/_SUCCESS", "data.location": "gs://b/in"}, None),
        (
            {"trigger.flag": "gs://b/in/_SUCCESS", "data.location": "az://b/in"},
            "trigger.flag and data.location: must be of the same kind",
        ),
        ({"data.location": "s3://bucket/in", "compute": {"train_model": PODS}}, None),
        (
            {"data.location": "file:///in", "compute": {"train_model": PODS}},
            "data.location: 'file:///in' is on the worker's disk, which compute.train_model cannot",
        ),
    ],
)
def test_a_place_that_a_job_or_the_trigger_cannot_reach_is_refused(
    changes: dict[str, Any], says: str | None
) -> None:
    """A disk of the worker's is read by jobs on the worker only."""
    values = GOOD
    for path, value in changes.items():
        values = changed(path, value, values)
    if says is None:
        parse(values)
    else:
        with pytest.raises(ConfigError, match=re.escape(says)):
            parse(values)


def test_a_regression_problem_has_no_calibration() -> None:
    """Without probabilities there is nothing to calibrate, so the rule is refused."""
    values = changed("problem", "regression")
    values["gates"] = {"metric": "r2", "calibration": {}}
    with pytest.raises(ConfigError, match=r"gates\.calibration: a regression problem has no prob"):
        parse(values)


def test_every_contradiction_is_told_at_once() -> None:
    """Sections that do not fit each other are one line each."""
    values = changed("problem", "regression")
    with pytest.raises(ConfigError) as caught:
        parse(values)
    lines = str(caught.value).split("\n")
    for field in ("gates: 'accuracy'", "data.positive", "data.label_rate", "gates.fairness"):
        assert any(line.startswith(f"{WHERE}: {field}") for line in lines), lines


def test_the_schema_is_in_step() -> None:
    """The stored JSON Schema is the one that the code generates."""
    stored = (MODELS_FOLDER / "schema.json").read_text(encoding="utf-8")
    assert stored == schema(), "run `python -m include.retraining validate-config --write-schema`"


def test_the_schema_accepts_the_models_that_ship() -> None:
    """An editor that uses the schema complains about no model, and does about a slip."""
    validator = Draft202012Validator(json.loads(schema()))
    for name in model_names():
        values = yaml.safe_load((MODELS_FOLDER / f"{name}.yaml").read_text(encoding="utf-8"))
        assert list(validator.iter_errors(values)) == []
        assert list(validator.iter_errors({**values, "ownr": "x"})) != []


def test_the_schema_explains_every_field() -> None:
    """Every field of every section has a description in the schema, for the editor to show."""
    definitions = json.loads(schema())["$defs"]
    bare = [
        f"{name}.{field}"
        for name, section in definitions.items()
        for field, about in section.get("properties", {}).items()  # an enumeration has none
        if "description" not in about and "$ref" not in about and "const" not in about
    ]
    assert bare == []


def test_metrics_are_scorers() -> None:
    """Every metric that may be named is a scorer of scikit-learn."""
    from sklearn.metrics import get_scorer_names

    assert set().union(*METRICS.values()) <= set(get_scorer_names())
