"""What any gate must answer: a table of reports, policies and verdicts.

The table takes the function to check as an argument, so that the mutants of the gate are held
against the very same rows as the gate.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from include.retraining.config.model import GatePolicy
from include.retraining.gate.report import EvaluationReport

PASS, FAIL, CANNOT, NOT = "pass", "fail", "cannot_judge", "not_judged"
NAN, INF = float("nan"), float("inf")
ROWS = "rows-digest"
SPLIT = {"by": "key", "holdout_fraction": 0.2, "salt": "pepper"}
TIME_SPLIT = {
    "by": "time",
    "column": "day",
    "holdout_days": 7.0,
    "train_until": "2026-01-01T00:00:00Z",
}
WINDOWS_SPLIT = {**TIME_SPLIT, "windows": 3}


def _period(difference: float, lower: float, upper: float, rows: int, digest: str) -> Any:
    return {
        "metric": "accuracy",
        "holdout_digest": digest,
        "difference": difference,
        "lower": lower,
        "upper": upper,
        "method": "McNemar",
        "rows": rows,
    }


def windows(*against_champion: tuple[float, float, float, int]) -> dict[str, Any]:
    """What a report says of two periods before the holdout: difference, interval and rows."""
    return {
        "split": WINDOWS_SPLIT,
        "champion.split": WINDOWS_SPLIT,
        "best": None,
        "windows": [
            {
                "after": f"2025-12-{18 - 7 * number}T00:00:00Z",
                "until": f"2025-12-{25 - 7 * number}T00:00:00Z",
                "rows": rows,
                "digest": f"window-{number}",
                "challenger": 0.86,
                "against": {
                    "baseline": _period(0.26, 0.2, 0.32, rows, f"window-{number}"),
                    "champion": _period(difference, lower, upper, rows, f"window-{number}"),
                },
            }
            for number, (difference, lower, upper, rows) in enumerate(against_champion)
        ],
    }


WINDOWS = windows((0.02, -0.015, 0.055, 500), (0.02, -0.015, 0.055, 500))
EARLIER, WORST = "earlier windows against champion", "worst window against champion"
LEAD = "better than baseline in earlier windows"


def _opponent(version: str, generation: int, score: float, low: float, high: float) -> Any:
    return {
        "serving": {"version": version, "generation": generation},
        "split": dict(SPLIT),
        "scores": {
            "version": version,
            "holdout_digest": ROWS,
            "metrics": {"accuracy": score},
            "standard_error": 0.016,
        },
        "comparison": {
            "metric": "accuracy",
            "holdout_digest": ROWS,
            "difference": 0.86 - score,
            "lower": low,
            "upper": high,
            "method": "McNemar",
            "rows": 500,
        },
        "judged": {
            "metric": "accuracy",
            "value": score,
            "standard_error": 0.02,
            "baseline": 0.58,
            "rows": 400,
        },
    }


def _group(name: str, rows: int, rate: float | None) -> dict[str, Any]:
    return {
        "group": name,
        "rows": rows,
        "is_judged": rows >= 30,
        "selection_rate": rate,
        "true_positive_rate": 0.8,
        "false_positive_rate": 0.1,
    }


GOOD_REPORT: dict[str, Any] = {
    "model": "toy_model",
    "run_id": "run",
    "fingerprint": "f" * 64,
    "created_at": "2026-01-02T00:00:00Z",
    "problem": "binary",
    "metric": "accuracy",
    "split": dict(SPLIT),
    "holdout": {"rows": 500, "digest": ROWS, "rows_in_training": 0},
    "challenger": {
        "version": "challenger",
        "holdout_digest": ROWS,
        "metrics": {"accuracy": 0.86, "roc_auc": 0.9},
        "standard_error": 0.015,
        "latency_ms_per_1000_rows": 20.0,
        "model_bytes": 1_000_000,
    },
    "baseline": {
        "version": "baseline",
        "holdout_digest": ROWS,
        "metrics": {"accuracy": 0.6},
        "answers": "one class",
    },
    "against_baseline": {
        "metric": "accuracy",
        "holdout_digest": ROWS,
        "difference": 0.86 - 0.6,
        "lower": 0.21,
        "upper": 0.31,
        "method": "McNemar",
        "rows": 500,
    },
    "champion": _opponent("champion", 3, 0.84, 0.005, 0.035),
    "best": _opponent("best", 2, 0.85, 0.001, 0.019),
    "slices": [
        {
            "column": "region",
            "value": value,
            "rows": rows,
            "is_judged": rows >= 30,
            "challenger": 0.86,
            "champion": 0.84,
        }
        for value, rows in (("north", 250), ("south", 240), ("west", 10))
    ],
    "fairness": [
        {
            "attribute": "race",
            "groups": [_group("a", 200, 0.5), _group("b", 200, 0.45), _group("c", 10, 0.01)],
            "disparate_impact": 0.9,
            "equalized_odds_difference": 0.05,
            "label_disparate_impact": 0.72,
        }
    ],
}
STRICT_POLICY: dict[str, Any] = {
    "metric": "accuracy",
    "minimum": {"accuracy": 0.8, "roc_auc": 0.7},
    "min_holdout_rows": 100,
    "min_group_rows": 30,
    "champion": {"margin": 0.01},
    "slices": [{"column": "region", "minimum": 0.7, "max_drop": 0.05}],
    "fairness": [
        {
            "attribute": "race",
            "min_disparate_impact": 0.8,
            "max_equalized_odds_difference": 0.2,
        }
    ],
    "limits": {"latency_ms_per_1000_rows": 50.0, "model_mb": 10.0},
}


def make_report(changes: dict[str, Any] | None = None) -> EvaluationReport:
    """The good report with some fields changed, by dotted paths; NaN is let through."""
    values = _changed(GOOD_REPORT, changes or {})
    numbers: dict[str, float] = {}
    document = json.dumps(_without_odd_numbers(values, "", numbers))
    return _with_odd_numbers(EvaluationReport.model_validate_json(document), numbers)


def make_policy(changes: dict[str, Any] | None = None) -> GatePolicy:
    """The strict policy with some fields changed, by dotted paths."""
    return GatePolicy.model_validate(_changed(STRICT_POLICY, changes or {}))


def _changed(base: dict[str, Any], changes: dict[str, Any]) -> dict[str, Any]:
    values = copy.deepcopy(base)
    for path, value in changes.items():
        *parents, last = [int(part) if part.isdigit() else part for part in path.split(".")]
        at: Any = values
        for part in parents:
            at = at[part]
        if value is ...:
            del at[last]
        else:
            at[last] = copy.deepcopy(value)
    return values


def _without_odd_numbers(value: Any, path: str, found: dict[str, float]) -> Any:
    if isinstance(value, dict):
        return {k: _without_odd_numbers(v, f"{path}.{k}", found) for k, v in value.items()}
    if isinstance(value, list):
        return [_without_odd_numbers(v, f"{path}.{i}", found) for i, v in enumerate(value)]
    if isinstance(value, float) and (value != value or value in {INF, -INF}):
        found[path.removeprefix(".")] = value
        return 0.5
    return value


def _with_odd_numbers(report: EvaluationReport, numbers: dict[str, float]) -> EvaluationReport:
    """Put NaN and infinity where no parser would let them: the gate must not rely on it."""
    for path, number in numbers.items():
        *parents, last = path.split(".")
        at: Any = report
        for part in parents:
            at = at[int(part)] if part.isdigit() else _at(at, part)
        if isinstance(at, dict):
            at[last] = number
        else:
            object.__setattr__(at, last, number)
    return report


def _at(value: Any, name: str) -> Any:
    return value[name] if isinstance(value, dict) else getattr(value, name)


@dataclass
class Case:
    """One row of the table."""

    name: str
    answer: str
    report: dict[str, Any] = field(default_factory=dict)
    policy: dict[str, Any] = field(default_factory=dict)
    gates: dict[str, str] = field(default_factory=dict)
    """The answers of some gates, by name; `absent` for one that must not be there."""
    says: str = ""
    """Part of the headline."""
    fault: str = ""
    """The case of tests/faults/catalogue.yaml that the row proves."""


def scored(score: float) -> dict[str, Any]:
    """A challenger's score with the differences that follow from it, each interval 0.03 wide."""
    changes: dict[str, Any] = {"challenger.metrics.accuracy": score}
    for who, theirs in (("champion", 0.84), ("best", 0.85)):
        difference = score - theirs
        changes[f"{who}.comparison.difference"] = difference
        changes[f"{who}.comparison.lower"] = difference - 0.015
        changes[f"{who}.comparison.upper"] = difference + 0.015
    return changes | against_baseline(score)


def against_baseline(score: float, baseline: float = 0.6) -> dict[str, Any]:
    """Scores of challenger and naive baseline, with an interval of their difference 0.1 wide."""
    return {
        "challenger.metrics.accuracy": score,
        "baseline.metrics.accuracy": baseline,
        "against_baseline.difference": score - baseline,
        "against_baseline.lower": score - baseline - 0.05,
        "against_baseline.upper": score - baseline + 0.05,
    }


def _then(value: float, **changes: float) -> dict[str, Any]:
    """What the champion, which scores 0.84 here with the baseline at 0.6, scored when judged."""
    changes = {"value": value, **changes}
    return {f"champion.judged.{name}": number for name, number in changes.items()}


def _bound(who: str, lower: float) -> dict[str, Any]:
    return {f"{who}.comparison.lower": lower}


def tried(number: int, level: float) -> dict[str, Any]:
    """Which try it is since the champion's generation, with intervals of a level."""
    return {
        "tried": {"number": number, "generation": 3},
        "champion.comparison.level": level,
        "best.comparison.level": level,
    }


def by_profit(worst: float | None, best: float | None, score: float = 0.86) -> dict[str, Any]:
    """A report and a policy by a metric of the team, with a range: `Case(…, **by_profit(0, 1))`."""
    places = ("champion.scores", "best.scores", "baseline", "challenger")
    values = dict(zip(places, (0.84, 0.85, 0.6, score), strict=True))
    comparisons = ("champion.comparison", "best.comparison", "against_baseline")
    report: dict[str, Any] = {f"{place}.metrics.profit": value for place, value in values.items()}
    report |= {f"{place}.metric": "profit" for place in comparisons}
    report |= {f"{who}.judged.metric": "profit" for who in ("champion", "best")}
    own = {"scorer": "costs.profit", "worst": worst, "best": best}
    return {
        "report": {**report, "metric": "profit"},
        "policy": {"metric": "profit", "own_metrics": {"profit": own}},
    }


def calibrated(excess: float, lower: float, /, **changes: Any) -> dict[str, Any]:
    """What a report says of a calibration error that is larger by an excess."""
    measured = {
        "holdout_digest": ROWS,
        "challenger": 0.05,
        "champion": 0.03,
        "excess": excess,
        "lower": lower,
        "upper": 0.09,
    }
    return {"calibration": {**measured, **changes}}


CALIBRATION: dict[str, Any] = {"calibration": {"max_worse": 0.02}}
NO_RIVALS: dict[str, Any] = {"champion": None, "best": None}

CASES = [
    Case("everything passes", PASS, says="accuracy is 0.86 against the champion's 0.84, and all"),
    Case("first of its model", PASS, NO_RIVALS, gates={"against champion": NOT}),
    # Calibration.
    Case(
        "calibration without a rule",
        PASS,
        calibrated(0.04, 0.01),
        gates={"calibration": "absent"},
    ),
    Case(
        "calibration not measured", CANNOT, {"calibration": None}, CALIBRATION, says="not measured"
    ),
    Case(
        "calibration much worse",
        FAIL,
        calibrated(0.04, 0.01),
        CALIBRATION,
        gates={"calibration": FAIL, "against champion": PASS},
        says="calibration error is 0.05, the champion's 0.03; the root of their squares' "
        "difference is +0.04, 95 % interval +0.01 to +0.09, plus is worse; must be at most +0.02",
    ),
    Case("calibration exactly as much worse as allowed", PASS, calibrated(0.02, 0.01), CALIBRATION),
    Case("calibration a hair worse", FAIL, calibrated(0.020000001, 0.01), CALIBRATION),
    Case("calibration worse by chance", PASS, calibrated(0.04, 0.0), CALIBRATION),
    Case("calibration hardly by chance", FAIL, calibrated(0.04, 1e-9), CALIBRATION),
    Case("calibration better", PASS, calibrated(-0.04, -0.06), CALIBRATION),
    Case(
        "calibration with nothing to compare with",
        PASS,
        {**NO_RIVALS, **calibrated(0.04, 0.01)},
        CALIBRATION,
        gates={"calibration": NOT},
    ),
    Case(
        "a challenger without probabilities",
        FAIL,
        calibrated(0.04, 0.01, challenger=None),
        CALIBRATION,
        gates={"calibration": FAIL},
        says="the challenger gives no probabilities",
    ),
    Case(
        "the first challenger without probabilities",
        FAIL,
        {**NO_RIVALS, **calibrated(0.04, 0.01, challenger=None)},
        CALIBRATION,
    ),
    Case(
        "a champion without probabilities",
        CANNOT,
        calibrated(-0.04, -0.06, champion=None),
        CALIBRATION,
        gates={"calibration": CANNOT},
        says="the champion gives no probabilities or could not be scored",
    ),
    Case(
        "calibration on other rows",
        CANNOT,
        calibrated(-0.04, -0.06, holdout_digest="other"),
        CALIBRATION,
        says="on other rows",
    ),
    Case(
        "calibration upside down",
        CANNOT,
        calibrated(0.01, 0.015),
        CALIBRATION,
        says="missing or not a number, or do not belong together",
    ),
    Case(
        "calibration beyond its interval", CANNOT, calibrated(0.1, -0.06), CALIBRATION
    ),
    *(
        Case(
            f"{name} as calibration's {part}",
            CANNOT,
            calibrated(-0.04, -0.06, **{part: number}),
            CALIBRATION,
            gates={"calibration": CANNOT},
            fault="F01",
        )
        for name, number in (("NaN", NAN), ("infinity", INF), ("nothing", None))
        for part in ("excess", "lower", "upper")
    ),
    *(
        Case(
            f"NaN as the calibration of {who}",
            CANNOT,
            calibrated(-0.04, -0.06, **{who: NAN}),
            CALIBRATION,
            fault="F01",
        )
        for who in ("challenger", "champion")
    ),
    # Metrics of the team.
    Case("by a metric of the team", PASS, **by_profit(0, 1), says="profit is 0.86 against the"),
    Case("by one without bounds", PASS, **by_profit(None, None)),
    Case("by one that has a best value only", PASS, **by_profit(None, 0.86)),
    Case(
        "above the best value of a metric of the team",
        CANNOT,
        **by_profit(None, 0.85),
        says="profit of the challenger is 0.86: it is at most 0.85",
    ),
    Case(
        "below the worst value of a metric of the team",
        CANNOT,
        **by_profit(0.87, None),
        says="gates.slices.0.minimum: is 0.7, profit is at least 0.87",
    ),
    Case(
        "by a metric that nobody registered",
        CANNOT,
        by_profit(0, 1)["report"],
        {"metric": "profit"},
        says="'profit' is not a metric for a binary problem",
    ),
    # Invalid numbers.
    *(
        Case(f"{name} as {where}", CANNOT, {path: number}, fault="F01")
        for name, number in (("NaN", NAN), ("infinity", INF), ("minus infinity", -INF))
        for where, path in (
            ("the decision metric", "challenger.metrics.accuracy"),
            ("another minimum", "challenger.metrics.roc_auc"),
            ("the baseline", "baseline.metrics.accuracy"),
            ("the champion's score", "champion.scores.metrics.accuracy"),
            ("the difference", "champion.comparison.difference"),
            ("the lower bound", "champion.comparison.lower"),
            ("the best's lower bound", "best.comparison.lower"),
            ("a slice", "slices.1.challenger"),
            ("the champion's slice", "slices.1.champion"),
            ("disparate impact", "fairness.0.disparate_impact"),
            ("equalised odds", "fairness.0.equalized_odds_difference"),
            ("latency", "challenger.latency_ms_per_1000_rows"),
        )
    ),
    *(
        Case(f"{where} is missing", CANNOT, {path: value}, fault="F01")
        for where, path, value in (
            ("the decision metric", "challenger.metrics", {"roc_auc": 0.9}),
            ("the decision metric's value", "challenger.metrics.accuracy", None),
            ("another minimum", "challenger.metrics", {"accuracy": 0.86}),
            ("the baseline's metric", "baseline.metrics.accuracy", None),
            ("the champion's metric", "champion.scores.metrics", {}),
            ("the champion's score", "champion.scores", None),
            ("the comparison", "champion.comparison", None),
            ("the champion's split", "champion.split", None),
            ("a slice's score", "slices.0.challenger", None),
            ("the champion's slice", "slices.0.champion", None),
            ("the slices", "slices", []),
            ("disparate impact", "fairness.0.disparate_impact", None),
            ("equalised odds", "fairness.0.equalized_odds_difference", None),
            ("the attribute", "fairness", []),
            ("latency", "challenger.latency_ms_per_1000_rows", None),
            ("the model's size", "challenger.model_bytes", None),
        )
    ),
    # Boundaries: written once, no tolerance.
    Case("exactly at the minimum", PASS, {"challenger.metrics.roc_auc": 0.7}, fault="F03"),
    Case(
        "a hair below the minimum",
        FAIL,
        {"challenger.metrics.roc_auc": 0.6999999999},
        gates={"minimum roc auc": FAIL},
        says="must be at least 0.70",
        fault="F03",
    ),
    Case("exactly the least rows", PASS, {"holdout.rows": 100}, fault="F03"),
    Case(
        "one row too few",
        CANNOT,
        {"holdout.rows": 99},
        says="99 rows, must be at least 100",
        fault="F09",
    ),
    Case("as good as the baseline", FAIL, {"baseline.metrics.accuracy": 0.86}, fault="F03"),
    Case(
        "a hair above the baseline, before there were intervals",
        PASS,
        {
            "baseline.metrics.accuracy": 0.8599999999,
            "baseline.answers": None,
            "against_baseline": None,
        },
        fault="F03",
    ),
    Case(
        "as good as the baseline, before there were intervals",
        FAIL,
        {"baseline.metrics.accuracy": 0.86, "baseline.answers": None, "against_baseline": None},
    ),
    Case(
        "above the baseline by chance",
        FAIL,
        against_baseline(0.86, 0.82),
        gates={"better than baseline": FAIL},
        says="above the naive baseline's 0.82 by 0.04, 95 % interval -0.01 to +0.09: that may be "
        "chance",
    ),
    Case(
        "the bound exactly at the baseline", FAIL, {"against_baseline.lower": 0.0}, fault="F03"
    ),
    Case("the bound a hair above the baseline", PASS, {"against_baseline.lower": 1e-9}),
    Case("no interval above the baseline", CANNOT, {"against_baseline": None}, says="no interval"),
    Case(
        "an interval above the baseline on other rows",
        CANNOT,
        {"against_baseline.holdout_digest": "other"},
        says="on other rows",
    ),
    Case(
        "an interval above the baseline by another metric",
        CANNOT,
        {"against_baseline.metric": "roc_auc"},
        says="of roc_auc, not of accuracy",
    ),
    Case(
        "an interval above another baseline", CANNOT, {"baseline.metrics.accuracy": 0.5},
        says="do not belong together",
    ),
    Case(
        "an interval above the baseline upside down", CANNOT, {"against_baseline.upper": 0.1},
        says="not a number",
    ),
    # The data changed, not the model: 0.84 ± 0.031 here, with 0.6 for the naive baseline.
    Case(
        "the champion is far worse than when it was judged",
        CANNOT,
        _then(0.95, baseline=0.4),
        gates={"against the champion's own score": CANNOT, "against champion": PASS},
        says="the data changed, not the model: the champion's accuracy is 0.84 here and was 0.95 "
        "± 0.039 when it was judged; its lead over the naive baseline is +0.24 and was +0.55",
    ),
    Case("the champion is worse by what chance allows", PASS, _then(0.94, baseline=0.3)),
    Case(
        "the champion is a hair worse than chance allows",
        CANNOT,
        _then(0.9405, baseline=0.3),
    ),
    Case("champion and naive baseline are both far worse", PASS, _then(0.95, baseline=0.5)),
    Case(
        "less than half of the champion's lead is left",
        CANNOT,
        _then(0.95, baseline=0.4699),
    ),
    Case("half of the champion's lead is left", PASS, _then(0.95, baseline=0.4701)),
    Case("the champion is far better than when it was judged", PASS, _then(0.7, baseline=0.1)),
    Case(
        "a champion from before its score was kept",
        PASS,
        {"champion.judged": None},
        gates={"against the champion's own score": NOT},
    ),
    Case(
        "a champion that was judged by another metric",
        PASS,
        {"champion.judged.metric": "roc_auc"},
        gates={"against the champion's own score": NOT},
    ),
    Case(
        "a champion whose score here has no error",
        CANNOT,
        {"champion.scores.standard_error": None},
        gates={"against the champion's own score": CANNOT},
    ),
    Case(
        "first of its model has no champion whose data changed",
        PASS,
        NO_RIVALS,
        gates={"against the champion's own score": "absent"},
    ),
    # The margin that nobody set: 2.8 errors of the champion's score, at most half of its lead.
    Case(
        "within what the champion's score is uncertain by",
        PASS,
        _bound("champion", -0.0448),
        {"champion.margin": None},
    ),
    Case(
        "beyond what the champion's score is uncertain by",
        FAIL,
        _bound("champion", -0.0449),
        {"champion.margin": None},
    ),
    Case(
        "within half of the champion's lead",
        PASS,
        _bound("champion", -0.1199) | {"champion.scores.standard_error": 0.1},
        {"champion.margin": None},
    ),
    Case(
        "beyond half of the champion's lead",
        FAIL,
        _bound("champion", -0.1201) | {"champion.scores.standard_error": 0.1},
        {"champion.margin": None},
    ),
    Case(
        "the best has a margin of its own",
        FAIL,
        _bound("best", -0.02) | {"best.scores.standard_error": 0.007},
        {"champion.margin": None},
    ),
    Case(
        "a champion that is no better than naive leaves no margin",
        FAIL,
        {
            **_bound("champion", -0.001),
            "champion.scores.metrics.accuracy": 0.5,
            "champion.comparison.difference": 0.36,
            "champion.judged": None,
            "best": None,
        },
        {"champion.margin": None},
    ),
    Case(
        "a champion that is worse than naive asks for no lead",
        PASS,
        {
            **_bound("champion", 0.001),
            "champion.scores.metrics.accuracy": 0.5,
            "champion.comparison.difference": 0.36,
            "champion.comparison.upper": 0.5,
            "champion.judged": None,
            "best": None,
            "slices": [],
        },
        {"champion.margin": None, "slices": []},
    ),
    Case(
        "without an error of the champion's score there is no margin",
        FAIL,
        _bound("champion", -0.001)
        | {"champion.scores.standard_error": None, "champion.judged": None},
        {"champion.margin": None},
    ),
    Case(
        "the margin is narrower than the interval",
        FAIL,
        _bound("champion", -0.02)
        | {"champion.comparison.rarest": 180, "champion.comparison.narrowest": 0.04},
        says="an equal version could not pass: the interval is ± 0.04 with 500 rows, 180 of the "
        "rarest class, and the margin is 0.01: about 8,000 would do in the holdout",
    ),
    Case(
        "more rows than can be counted in a float",
        FAIL,
        _bound("champion", -0.02) | {"champion.comparison.rows": 10**400},
        says="the lower end must be above -0.01",
    ),
    Case(
        "the margin is narrower than the interval of these two",
        FAIL,
        _bound("champion", -0.02) | {"champion.comparison.narrowest": 0.0099},
        says="two versions that differ as these do could not pass: the interval is ± 0.04 with 500 "
        "rows and the margin is 0.01: about 8,000 would do in the holdout",
    ),
    Case(
        "clearly worse by an interval narrower than the margin",
        FAIL,
        {
            "champion.scores.metrics.accuracy": 0.91,
            "champion.comparison.difference": -0.05,
            "champion.comparison.lower": -0.055,
            "champion.comparison.upper": -0.045,
        },
        says="-0.055 to -0.045, plus is better; the lower end must be above -0.01",
    ),
    Case(
        "an interval without width",
        CANNOT,
        {
            "champion.comparison.lower": 0.02,
            "champion.comparison.upper": 0.02,
            "champion.comparison.rarest": 10,
        },
        says="an interval without width is no evidence (10 of the rarest class)",
    ),
    Case(
        "an interval without width of a report from before",
        CANNOT,
        {"champion.comparison.lower": 0.02, "champion.comparison.upper": 0.02},
        says="an interval without width is no evidence: a larger holdout",
    ),
    Case(
        "a margin that no number of rows can meet",
        FAIL,
        _bound("champion", -0.02),
        {"champion.margin": 1e-9},
        says="no number of rows that anybody has would do",
    ),
    Case(
        "no margin at all",
        FAIL,
        _bound("champion", -0.02),
        {"champion.margin": 0.0},
        says="which asks to be better, not only not worse",
    ),
    Case(
        "below the baseline",
        FAIL,
        {"baseline.metrics.accuracy": 0.9},
        says="must be above the naive baseline's 0.90",
    ),
    Case("the bound exactly at minus the margin", FAIL, _bound("champion", -0.01), fault="F03"),
    Case(
        "the bound a hair above minus the margin", PASS, _bound("champion", -0.0099999),
        fault="F03",
    ),
    Case(
        "slice exactly at its minimum",
        PASS,
        {"slices.0.challenger": 0.7, "slices.0.champion": 0.7},
        fault="F03",
    ),
    Case("slice exactly at its drop", PASS, {"slices.0.challenger": 0.84 - 0.05}, fault="F03"),
    Case(
        "disparate impact exactly four fifths", PASS, {"fairness.0.disparate_impact": 0.8},
        fault="F03",
    ),
    Case(
        "odds exactly at the limit", PASS, {"fairness.0.equalized_odds_difference": 0.2},
        fault="F03",
    ),
    Case(
        "latency exactly at the limit", PASS, {"challenger.latency_ms_per_1000_rows": 50.0},
        fault="F03",
    ),
    Case("size exactly at the limit", PASS, {"challenger.model_bytes": 10_000_000}, fault="F03"),
    # Each rule says no.
    Case(
        "a leak of one row", CANNOT, {"holdout.rows_in_training": 1}, says="in the training data",
        fault="F12",
    ),
    Case("below the minimum", FAIL, scored(0.79), gates={"minimum accuracy": FAIL}),
    Case(
        "worse than the champion",
        FAIL,
        scored(0.81) | {"best": None},
        gates={"against champion": FAIL, "minimum accuracy": PASS},
        says="accuracy is 0.81, the champion's 0.84",
    ),
    Case(
        "not enough evidence",
        FAIL,
        _bound("champion", -0.02),
        says="not enough evidence",
        fault="F09",
    ),
    Case(
        "worse than the best of the last ten",
        FAIL,
        _bound("best", -0.03),
        gates={"against champion": PASS, "against best of the last ten": FAIL},
    ),
    Case(
        "worse on one slice",
        FAIL,
        {"slices.1.challenger": 0.75},
        gates={"slice region=south": PASS, "slice region=south against champion": FAIL},
        says="region=south",
        fault="F14",
    ),
    Case(
        "slice below its minimum", FAIL, {"slices.1.challenger": 0.69}, says="region=south",
        fault="F14",
    ),
    Case(
        "unfair",
        FAIL,
        {"fairness.0.disparate_impact": 0.7123},
        says="fairness race: the selection rate of the least favoured group is 0.7123 of the most "
        "favoured one's, must be at least 0.80",
    ),
    Case("unequal odds", FAIL, {"fairness.0.equalized_odds_difference": 0.25}, says="at most 0.20"),
    Case("too slow", FAIL, {"challenger.latency_ms_per_1000_rows": 50.1}, says="at most 50"),
    Case("too large", FAIL, {"challenger.model_bytes": 10_000_001}, says="must be at most 10"),
    Case(
        "the champion itself",
        FAIL,
        {"challenger.version": "champion"},
        gates={"new version": FAIL},
        says="serves already",
        fault="F11",
    ),
    Case(
        "the champion itself, under a margin that lets anything pass",
        FAIL,
        {"challenger.version": "champion"},
        {"champion.margin": 0.99},
        fault="F11",
    ),
    Case(
        "the best of the last ten itself",
        PASS,
        {"challenger.version": "best", "best.comparison.lower": -0.5},
        gates={"against best of the last ten": "absent"},
    ),
    # What cannot be compared.
    Case(
        "a champion that cannot be loaded",
        CANNOT,
        {"champion.error": "its manifest is missing", "champion.scores": None},
        says="its manifest is missing",
        fault="F19",
    ),
    Case(
        "a champion scored in spite of an error", CANNOT, {"champion.error": "altered"},
        fault="F19",
    ),
    Case("a best that cannot be loaded", CANNOT, {"best.error": "altered"}),
    Case(
        "a champion scored on other rows", CANNOT, {"champion.scores.holdout_digest": "other"},
        fault="F06",
    ),
    Case(
        "a comparison on other rows", CANNOT, {"champion.comparison.holdout_digest": "other"},
        fault="F06",
    ),
    Case(
        "a best scored on other rows", CANNOT, {"best.scores.holdout_digest": "other"},
        fault="F06",
    ),
    Case(
        "a challenger scored on other rows", CANNOT, {"challenger.holdout_digest": "other"},
        fault="F06",
    ),
    Case(
        "a baseline scored on other rows", CANNOT, {"baseline.holdout_digest": "other"},
        fault="F06",
    ),
    Case("a comparison of another metric", CANNOT, {"champion.comparison.metric": "roc_auc"}),
    Case(
        "a comparison of other scores", CANNOT, {"champion.scores.metrics.accuracy": 0.86},
        fault="F06",
    ),
    Case("an interval upside down", CANNOT, {"champion.comparison.upper": -0.5}),
    *(
        Case(f"a champion of another {name}", CANNOT, {f"champion.split.{name}": value})
        for name, value in (
            ("by", "time"),
            ("salt", "sugar"),
            ("holdout_fraction", 0.3),
            ("column", "day"),
            ("holdout_days", 7.0),
        )
    ),
    *(
        Case(
            f"a champion of another {name}", CANNOT,
            {f"split.{name}": now, f"champion.split.{name}": then}, says=says,
        )
        for name, now, then, says in (
            ("key", "id", "account", "(key differs)"),
            ("key_read", "text", "float", "(how the key is read differs)"),
        )
    ),
    Case(
        "a champion of before its key was noted", PASS,
        {"split.key": "id", "split.key_read": "text"},
    ),
    Case(
        "split by time, trained before the holdout",
        PASS,
        {"split": TIME_SPLIT, "champion.split": TIME_SPLIT, "best": None},
    ),
    Case(
        "split by time, trained on newer rows",
        CANNOT,
        {
            "split": TIME_SPLIT,
            "champion.split": {**TIME_SPLIT, "train_until": "2026-01-01T00:00:01"},
            "best": None,
        },
        says="newer rows",
    ),
    Case(
        "split by time, champion trained until nobody knows when",
        CANNOT,
        {
            "split": TIME_SPLIT,
            "champion.split": {**TIME_SPLIT, "train_until": None},
            "best": None,
        },
    ),
    Case(
        "split by time, challenger trained until nobody knows when",
        CANNOT,
        {
            "split": {**TIME_SPLIT, "train_until": None},
            "champion.split": TIME_SPLIT,
            "best": None,
        },
    ),
    # Slices by their intervals.
    Case(
        "a slice that is lower by chance", PASS,
        {"slices.0.challenger": 0.78, "slices.0.upper": 0.01},
        gates={"slice region=north against champion": PASS},
    ),
    Case(
        "a slice that is shown to be worse", FAIL,
        {"slices.0.challenger": 0.78, "slices.0.upper": -0.01},
        says="accuracy of region=north is 0.78, must be at least 0.79", fault="F14",
    ),
    Case("a slice that is worse by little", PASS, {"slices.0.challenger": 0.80,
         "slices.0.upper": -0.01}),
    Case("a slice whose interval ends at 0", PASS, {"slices.0.challenger": 0.78,
         "slices.0.upper": 0.0}),
    Case(
        "a slice without a positive row", PASS,
        {"slices.0.undefined": "48 rows, 0 positive", "slices.0.challenger": None},
        gates={"slice region=north": NOT, "slice region=south": PASS},
    ),
    # What is not defined says why.
    Case(
        "the decision metric is not defined", CANNOT,
        {"challenger.metrics.accuracy": None, "challenger.undefined": {"accuracy": "0 positive"}},
        gates={"against champion": CANNOT}, says="accuracy is not defined: 0 positive",
    ),
    Case(
        "the champion's metric is not defined", CANNOT,
        {"champion.scores.metrics": {}, "champion.scores.undefined": {"accuracy": "no rows"}},
        gates={"against champion": CANNOT},
    ),
    # Which try it is.
    Case("the first try", PASS, tried(1, 0.95), fault="F10"),
    Case("a later try by its own interval", PASS, tried(17, 0.99984), fault="F10"),
    Case(
        "a later try by the first one's interval", CANNOT, tried(17, 0.95),
        says="the 17th try on these rows is held to a 99.97 % interval", fault="F10",
    ),
    Case(
        "a later try that does not pass says which it is", FAIL,
        tried(17, 0.99984) | _bound("champion", -0.5) | {"best": None},
        says="17th challenger on these rows since generation 3", fault="F10",
    ),
    Case("a wide interval in the first try", PASS, tried(1, 0.99)),
    Case("an interval that is too narrow, without tries", CANNOT, tried(1, 0.9) | {"tried": None}),
    Case(
        "tries since another generation", CANNOT, tried(17, 0.99984) | {
            "tried": {"number": 17, "generation": 2}
        }, says="how many tries", fault="F10",
    ),
    Case("a try without a number", CANNOT, tried(0, 0.99984)),
    Case("more tries than there can be", CANNOT, tried(10**400, 1.0)),
    # Small groups are not judged, which is neither a pass nor a refusal.
    Case(
        "a bad slice that is too small",
        PASS,
        {"slices.2.challenger": 0.0},
        gates={"slice region=west": NOT},
    ),
    Case(
        "a bad slice that is just large enough",
        FAIL,
        {"slices.2.challenger": 0.0, "slices.2.rows": 30, "slices.2.is_judged": True},
    ),
    Case(
        "a large slice that says it is not judged",
        FAIL,
        {"slices.1.challenger": 0.1, "slices.1.is_judged": False},
    ),
    Case(
        "an unfair group that is too small",
        PASS,
        gates={"fairness race, a small group": NOT, "fairness race": PASS},
    ),
    Case(
        "only one group is large enough",
        CANNOT,
        {"fairness.0.groups.1.rows": 29},
        gates={"fairness race": CANNOT, "slice region=north": PASS},
        says="this rule judged no group",
    ),
    Case(
        "only one group is large enough, and the rules allow it",
        PASS,
        {"fairness.0.groups.1.rows": 29, "fairness.0.disparate_impact": 0.1},
        {"fairness.0.may_judge_nobody": True},
        gates={"fairness race": NOT},
    ),
    Case(
        "no slice is large enough",
        CANNOT,
        {"slices.0.rows": 29, "slices.1.rows": 29},
        gates={"slice region=north": NOT, "slice region": CANNOT},
        says="this rule judged no group",
    ),
    Case(
        "no slice is large enough, and nothing serves",
        CANNOT,
        {**NO_RIVALS, "slices.0.rows": 29, "slices.1.rows": 29},
        {"slices.0.minimum": None},
    ),
    Case(
        "no slice is large enough, and the rules allow it",
        PASS,
        {"slices.0.rows": 29, "slices.1.rows": 29, "slices.0.challenger": 0.1},
        {"slices.0.may_judge_nobody": True},
        gates={"slice region": "absent"},
    ),
    Case(
        "slices that wait for the first champion",
        PASS,
        NO_RIVALS,
        {"slices.0.minimum": None},
        gates={"slice region=north against champion": NOT, "slice region": "absent"},
    ),
    Case(
        "a smaller least group brings in an unfair one",
        FAIL,
        policy={"min_group_rows": 10},
        gates={"fairness race": FAIL},
    ),
    Case(
        "a smaller least group brings in one without a rate",
        CANNOT,
        {"fairness.0.groups.2.selection_rate": None},
        {"min_group_rows": 10, "slices": []},
    ),
    Case(
        "a smaller least group brings in one without odds",
        CANNOT,
        {
            "fairness.0.groups.2.false_positive_rate": None,
            "fairness.0.groups.2.selection_rate": 0.5,
        },
        {"min_group_rows": 10},
        gates={"fairness race": PASS, "fairness race, equalised odds": CANNOT},
    ),
    Case(
        "a smaller least group keeps equal odds",
        PASS,
        {"fairness.0.groups.2.selection_rate": 0.5},
        {"min_group_rows": 10},
        gates={"fairness race, equalised odds": PASS},
    ),
    Case(
        "nobody is selected",
        CANNOT,
        {f"fairness.0.groups.{at}.selection_rate": 0.0 for at in range(3)},
        {"min_group_rows": 10},
    ),
    Case(
        "slice without a champion",
        PASS,
        NO_RIVALS,
        gates={"slice region=north against champion": NOT, "slice region=north": PASS},
    ),
    Case("only a drop is limited", FAIL, {"slices.0.challenger": 0.78}, {"slices.0.minimum": None}),
    Case("only a minimum is set", PASS, {"slices.0.challenger": 0.78}, {"slices.0.max_drop": None}),
    Case(
        "only disparate impact is limited",
        PASS,
        {"fairness.0.equalized_odds_difference": 0.9},
        {"fairness.0.max_equalized_odds_difference": None},
    ),
    Case(
        "only equalised odds are limited",
        PASS,
        {"fairness.0.disparate_impact": 0.1},
        {"fairness.0.min_disparate_impact": None},
    ),
    Case("an attribute is reported twice", CANNOT, {"fairness": GOOD_REPORT["fairness"] * 2}),
    # The policy.
    Case("no rules but the naive baseline", PASS, NO_RIVALS, {
        "minimum": {}, "slices": [], "fairness": [], "limits": {},
    }),
    Case(
        "an unknown metric", CANNOT, policy={"metric": "goodness"}, says="not a metric",
        fault="F20",
    ),
    Case("a metric for another problem", CANNOT, {"problem": "regression"}),
    Case("an unknown problem", CANNOT, {"problem": "ranking"}),
    Case("rules by another metric", CANNOT, policy={"metric": "roc_auc"}, says="evaluation is by"),
    # What no metric can be: the report's numbers and the policy's.
    *(
        Case(f"{name} outside its range", CANNOT, {path: value}, says=says)
        for name, path, value, says in (
            ("the challenger's accuracy", "challenger.metrics.accuracy", 95.0, "is 95"),
            ("another metric", "challenger.metrics.roc_auc", 1.00001, "lies from 0 to 1"),
            ("the baseline's accuracy", "baseline.metrics.accuracy", -0.1, "naive baseline"),
            ("the champion's accuracy", "champion.scores.metrics.roc_auc", 95.0, "the champion"),
            ("the best champion's", "best.scores.metrics.f1", -1.0, "best of the last ten"),
            ("a slice's score", "slices.0.challenger", 95.0, "region=north"),
            ("the champion's in a slice", "slices.0.champion", 95.0, "region=north"),
        )
    ),
    Case(
        "an error that is a share, above 1",
        CANNOT,
        {"challenger.metrics.neg_brier_score": -1.5},
        says="brier score of the challenger is 1.5: it lies from 0 to 1",
    ),
    Case(
        "an error that is not negated",
        CANNOT,
        {"challenger.metrics.neg_log_loss": 0.3},
        says="log loss of the challenger is -0.30: it is at least 0",
    ),
    Case(
        "a score above 1 by the last bit of a sum",
        PASS,
        {"challenger.metrics.roc_auc": 1.0000000000000002},
    ),
    Case(
        "a margin that lets anything pass",
        CANNOT,
        policy={"champion.margin": 5.0},
        says="gates.champion.margin",
    ),
    # Together.
    Case(
        "a no beside what cannot be judged",
        CANNOT,
        scored(0.5) | {"champion.error": "lost"},
        gates={"minimum accuracy": FAIL},
        says="lost",
    ),
    Case("no windows", PASS, {"split.windows": None}, gates={EARLIER: "absent", LEAD: "absent"}),
    Case("windows that pass", PASS, WINDOWS, gates={EARLIER: PASS, WORST: PASS, LEAD: PASS}),
    Case(
        "windows whose pooled bound is too low",
        FAIL,
        windows((0.01, -0.02, 0.04, 500), (0.01, -0.02, 0.04, 500)),
        gates={EARLIER: FAIL, WORST: PASS},
        says="over the 2 windows before the holdout",
    ),
    Case(
        "a pooled bound that is minus the margin",
        FAIL,
        windows((0.0, -0.01, 0.01, 500)) | {
            "split": {**TIME_SPLIT, "windows": 2},
            "champion.split": {**TIME_SPLIT, "windows": 2},
        },
        gates={EARLIER: FAIL, WORST: PASS},
        says="over the 1 window before the holdout",
    ),
    Case(
        "windows that count by their rows",
        FAIL,
        windows((-0.009, -0.02, 0.002, 900), (0.05, 0.04, 0.06, 100)),
        gates={EARLIER: FAIL, WORST: PASS},
    ),
    Case(
        "a window that is worse than the margin",
        FAIL,
        windows((0.06, 0.05, 0.07, 500), (-0.02, -0.03, -0.01, 500)),
        gates={EARLIER: PASS, WORST: FAIL},
        says="the window from 2025-12-11 to 2025-12-18",
    ),
    Case(
        "a window that is worse by the margin",
        FAIL,
        windows((0.06, 0.05, 0.07, 500), (-0.01, -0.02, 0.0, 500)),
        gates={EARLIER: PASS, WORST: FAIL},
    ),
    Case(
        "a holdout that is the worst window",
        FAIL,
        WINDOWS | {
            "champion.scores.metrics.accuracy": 0.88,
            "champion.comparison.difference": 0.86 - 0.88,
            "champion.comparison.lower": -0.03,
            "champion.judged": None,
        },
        gates={EARLIER: PASS, WORST: FAIL},
    ),
    Case(
        "windows against the best as well",
        FAIL,
        WINDOWS | {
            "best": _opponent("best", 2, 0.85, 0.001, 0.019) | {"split": WINDOWS_SPLIT},
            "windows.0.against.best": _period(-0.05, -0.06, -0.04, 500, "window-0"),
            "windows.1.against.best": _period(0.02, 0.01, 0.03, 500, "window-1"),
        },
        gates={EARLIER: PASS, "earlier windows against best of the last ten": FAIL},
    ),
    Case(
        "a baseline that is as good before the holdout",
        FAIL,
        WINDOWS | {
            f"windows.{number}.against.baseline": _period(0.0, -0.02, 0.02, 500, f"window-{number}")
            for number in (0, 1)
        },
        gates={LEAD: FAIL, EARLIER: PASS},
    ),
    Case(
        "a baseline with another window's comparison",
        CANNOT,
        WINDOWS | {"windows.1.against.baseline.holdout_digest": "window-0"},
        gates={LEAD: CANNOT, EARLIER: PASS},
    ),
    Case("no baseline on the holdout", CANNOT, WINDOWS | {"against_baseline": None},
         gates={LEAD: "absent"}),
    Case("windows before anything serves", PASS, WINDOWS | {"champion": None},
         gates={LEAD: PASS, EARLIER: "absent"}),
    Case("windows and a champion without scores", CANNOT,
         WINDOWS | {"champion.error": "gone", "champion.comparison": None},
         gates={EARLIER: "absent"}),
    Case("windows and a champion that is the challenger", FAIL,
         WINDOWS | {"champion.serving.version": "challenger"}, gates={EARLIER: "absent"}),
    Case("a window that was not scored", CANNOT, WINDOWS | {"windows": []},
         says="0 windows before the holdout were scored, of 2"),
    Case("windows that nobody asked for", CANNOT, WINDOWS | {"split": TIME_SPLIT},
         gates={LEAD: CANNOT}),
    Case("a champion that was not compared in a window", CANNOT,
         WINDOWS | {"windows.1.against.champion": None},
         gates={EARLIER: CANNOT, WORST: "absent"}, says="it was not compared"),
    Case("a champion that says why not", CANNOT,
         WINDOWS | {"windows.1.against.champion": None,
                    "windows.1.reasons": {"champion": "altered"}},
         gates={EARLIER: CANNOT}, says="altered"),
    Case("a champion that was judged on fewer windows", PASS,
         WINDOWS | {"windows.1.against.champion": None, "champion.split": TIME_SPLIT},
         gates={EARLIER: NOT, WORST: "absent"}),
    Case("a champion whose split is unknown", CANNOT,
         WINDOWS | {"windows.1.against.champion": None, "champion.split": None},
         gates={EARLIER: CANNOT}),
    *(
        Case(f"a window with {name}", CANNOT, WINDOWS | {
            f"windows.0.against.champion.{field}": value}, gates={EARLIER: CANNOT, WORST: "absent"})
        for name, field, value in (
            ("other rows", "holdout_digest", "other"),
            ("another metric", "metric", "roc_auc"),
            ("no number", "lower", NAN),
            ("no rows", "rows", 0),
            ("an interval upside down", "upper", -0.5),
            ("a lower end above the difference", "lower", 0.03),
            ("a narrower interval", "level", 0.9),
            ("no level", "level", NAN),
        )
    ),
    Case("a holdout without a level", CANNOT, WINDOWS | {"champion.comparison.level": NAN},
         gates={EARLIER: CANNOT}),
    Case(
        "several refusals",
        FAIL,
        {"challenger.model_bytes": 99_000_000, "challenger.latency_ms_per_1000_rows": 99.0},
        says="(and 1 more gate)",
    ),
]  # fmt: skip


def check(judge: Callable[..., Any], case: Case) -> None:
    """Hold a gate against one row."""
    report, policy = make_report(case.report), make_policy(case.policy)
    verdict = judge(report, policy, report_digest="digest")
    found = {gate.gate: gate.answer.value for gate in verdict.gates}
    assert verdict.answer.value == case.answer, f"{case.name}: {verdict.headline}"
    for gate, answer in case.gates.items():
        assert found.get(gate, "absent") == answer, f"{case.name}: {gate} of {found}"
    assert case.says in verdict.headline, f"{case.name}: {verdict.headline}"
    assert verdict.passed == (case.answer == PASS), case.name
    assert verdict.judged_against == (report.champion.serving.generation if report.champion else 0)
