"""Wrong gates and wirings, each of which the checks of the gate and of the decision must kill.

A mutant is a copy of the modules in memory with one piece of source replaced. The checks are those
of `test_gate.py` and `test_decide.py`. The test fails when a mutant survives, and when a piece to
replace is no longer in the source.
"""

from __future__ import annotations

import importlib.util
import inspect
import os
import sys
import types
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from _pytest.outcomes import Failed

from include.retraining.store.marker import initialise
from tests.support.decide_checks import CHECKS
from tests.support.gate_checks import CASES, check

# The gate and what stands around it, each after those that it imports.
GATE = (
    "gate.identity",
    "gate.old_titles",
    "gate.verdict",
    "config.metric_ranges",
    "gate.group_rules",
    "gate.range_rules",
    "gate.lead_rules",
    "gate.margin",
    "gate.opponent_rules",
    "gate.calibration_rules",
    "gate.window_rules",
    "gate.rules",
)
MODULES = (
    *GATE,
    "decisions.record",
    "registry.promotion_log",
    "registry.promotion_rules",
    "registry.promotion",
    "decisions.record_files",
    "decisions.gathering",
    "decisions.records",
    "decisions.cleared",
    "steps.close_run",
    "decisions.evidence",
    "steps.decide",
)


@dataclass(frozen=True)
class Mutant:
    """One piece of source and what stands there instead."""

    name: str
    module: str
    old: str
    new: str


_SAME = "    require_same_verdict(evidence, run, store)\n"
MUTANTS = (
    Mutant(
        "no width is evidence",
        "gate.opponent_rules",
        'if report.problem == "regression" or between.lower != between.upper:',
        "if True:",
    ),
    # Windows before the holdout.
    Mutant(
        "windows that nobody asked for",
        "gate.window_rules",
        "if earlier == 0 and not report.windows:",
        "if earlier == 0:",
    ),
    Mutant(
        "windows that were not scored",
        "gate.window_rules",
        "if earlier != len(report.windows):",
        "if earlier > len(report.windows):",
    ),
    Mutant(
        "the newest window pooled alone",
        "gate.window_rules",
        "tuple(periods)",
        "tuple(periods[:1])",
    ),
    Mutant(
        "windows of any size count alike",
        "gate.window_rules",
        "shares = [one.between.rows / rows for one in periods]",
        "shares = [1 / len(periods) for one in periods]",
    ),
    Mutant(
        "windows pooled as if one",
        "gate.window_rules",
        "math.hypot(\n        *(\n",
        "sum(\n        (\n",
    ),
    Mutant(
        "the pooled mean without its interval",
        "gate.window_rules",
        "mean - below, 0.0 - margin",
        "mean, 0.0 - margin",
    ),
    Mutant(
        "the pooled bound without the margin",
        "gate.window_rules",
        "mean - below, 0.0 - margin",
        "mean - below, 0.0",
    ),
    Mutant(
        "the pooled bound with the margin on the wrong side",
        "gate.window_rules",
        "mean - below, 0.0 - margin",
        "mean - below, margin",
    ),
    Mutant(
        "the best window",
        "gate.window_rules",
        "lowest = min(",
        "lowest = max(",
    ),
    Mutant(
        "the worst window by its lower end",
        "gate.window_rules",
        "compare(gate, lowest.between.difference",
        "compare(gate, lowest.between.lower",
    ),
    Mutant(
        "the worst window without the holdout",
        "gate.window_rules",
        '(*found, _Period("the holdout", newest))',
        "found",
    ),
    Mutant(
        "an unscored champion of many windows",
        "gate.window_rules",
        "windows < (report.split.windows or 1)",
        "windows <= (report.split.windows or 1)",
    ),
    Mutant(
        "an unscored champion of fewer windows",
        "gate.window_rules",
        "windows is not None and windows <",
        "windows is None and 0 <",
    ),
    Mutant(
        "windows of other rows",
        "gate.window_rules",
        "if between.holdout_digest != window.digest:",
        "if False:",
    ),
    Mutant(
        "windows of another metric",
        "gate.window_rules",
        "if between.metric != newest.metric:",
        "if False:",
    ),
    Mutant(
        "windows without rows",
        "gate.window_rules",
        " or between.rows < 1",
        "",
    ),
    Mutant(
        "windows with no number",
        "gate.window_rules",
        "if None in [finite(number) for number in numbers]",
        "if False",
    ),
    Mutant(
        "windows upside down",
        "gate.window_rules",
        "if not between.lower <= between.difference <= between.upper:",
        "if False:",
    ),
    Mutant(
        "windows at a narrower level",
        "gate.window_rules",
        "if level is None or between.level < level - 1e-12:",
        "if False:",
    ),
    Mutant(
        "a margin for the naive baseline",
        "gate.window_rules",
        '_judge_pooled(gate, "naive baseline", found, 0.0)',
        '_judge_pooled(gate, "naive baseline", found, 0.05)',
    ),
    Mutant(
        "no windows against the baseline",
        "gate.window_rules",
        "if report.against_baseline is not None:",
        "if False:",
    ),
    Mutant(
        "no windows against opponents",
        "gate.window_rules",
        "if opponent.comparison and opponent.serving",
        "if False and opponent.serving",
    ),
    # Comparing numbers.
    Mutant("minimum by >", "gate.verdict", "at_least = operator.ge", "at_least = operator.gt"),
    Mutant("minimum by <=", "gate.verdict", "at_least = operator.ge", "at_least = operator.le"),
    Mutant(
        "better than the baseline by >=",
        "gate.verdict",
        "better_than = operator.gt",
        "better_than = operator.ge",
    ),
    Mutant("limits by <", "gate.verdict", "at_most = operator.le", "at_most = operator.lt"),
    Mutant("limits by >=", "gate.verdict", "at_most = operator.le", "at_most = operator.ge"),
    Mutant("leak tolerated", "gate.verdict", "exactly = operator.eq", "exactly = operator.ge"),
    Mutant(
        "a tolerance of a billionth",
        "gate.verdict",
        "is_held = holds(value, limit)",
        "is_held = holds(value, limit) or abs(value - limit) < 1e-6",
    ),
    Mutant(
        "NaN and infinity are compared",
        "gate.verdict",
        "value is not None and math.isfinite(value)",
        "value is not None",
    ),
    Mutant(
        "infinity is compared",
        "gate.verdict",
        "value is not None and math.isfinite(value)",
        "value is not None and not math.isnan(value)",
    ),
    Mutant(
        "what is missing passes",
        "gate.verdict",
        "return result(gate, Answer.CANNOT_JUDGE, reason, value, limit)",
        "return result(gate, Answer.PASS, reason, value, limit)",
    ),
    Mutant(
        "what is missing is a mere no",
        "gate.verdict",
        "return result(gate, Answer.CANNOT_JUDGE, reason, value, limit)",
        "return result(gate, Answer.FAIL, reason, value, limit)",
    ),
    Mutant(
        "what does not hold passes",
        "gate.verdict",
        "Answer.PASS if is_held else otherwise",
        "Answer.PASS",
    ),
    Mutant(
        "passed whatever the answer",
        "gate.verdict",
        "return self.answer is Answer.PASS",
        "return self.answer is not Answer.FAIL",
    ),
    # The whole verdict.
    Mutant(
        "cannot judge promotes",
        "gate.rules",
        "return Answer.CANNOT_JUDGE\n    if Answer.FAIL",
        "return Answer.PASS\n    if Answer.FAIL",
    ),
    Mutant(
        "a no hides what cannot be judged",
        "gate.rules",
        "if Answer.CANNOT_JUDGE in answers:",
        "if Answer.CANNOT_JUDGE in answers and Answer.FAIL not in answers:",
    ),
    Mutant(
        "one pass is enough",
        "gate.rules",
        "if Answer.FAIL in answers:",
        "if answers == {Answer.FAIL}:",
    ),
    *(
        Mutant(f"rule left out: {rule}", "gate.rules", f"    {rule},\n", "")
        for rule in (
            "_right_metric",
            "numbers_in_range",
            "_same_rows",
            "_enough_rows",
            "_no_leak",
            "_new_version",
            "_minimum",
            "judge_lead",
            "judge_data",
            "judge_against_champion",
            "judge_against_best",
            "judge_calibration",
            "judge_windows",
            "judge_slices",
            "judge_fairness",
            "_limits",
        )
    ),
    # Calibration.
    Mutant(
        "calibration by its excess alone",
        "gate.calibration_rules",
        " or pair.lower <= 0.0",
        "",
    ),
    Mutant(
        "calibration by its interval alone",
        "gate.calibration_rules",
        "return excess <= most or pair.lower <= 0.0",
        "return pair.lower <= 0.0",
    ),
    Mutant(
        "no probabilities are well calibrated",
        "gate.calibration_rules",
        "Answer.FAIL, text",
        "Answer.PASS, text",
    ),
    Mutant(
        "calibration that was not measured passes",
        "gate.calibration_rules",
        'Answer.CANNOT_JUDGE, "calibration was not measured"',
        'Answer.PASS, "calibration was not measured"',
    ),
    Mutant(
        "calibration on any rows",
        "gate.calibration_rules",
        "if measured.holdout_digest != report.holdout.digest:",
        "if False:",
    ),
    Mutant(
        "calibration outside its interval",
        "gate.calibration_rules",
        "not pair.lower <= pair.excess <= pair.upper",
        "False",
    ),
    Mutant(
        "calibration against nobody",
        "gate.calibration_rules",
        "if report.champion is None:",
        "if False:",
    ),
    # The rules.
    Mutant(
        "too few rows is a mere no",
        "gate.rules",
        "otherwise=Answer.CANNOT_JUDGE,\n    )\n\n\ndef _no_leak",
        ")\n\n\ndef _no_leak",
    ),
    Mutant(
        "only the first minimum",
        "gate.rules",
        "in sorted(policy.minimum.items()):",
        "in sorted(policy.minimum.items())[:1]:",
    ),
    Mutant(
        "the challenger is compared with itself as baseline",
        "gate.lead_rules",
        "baseline = report.baseline.metrics.get(policy.metric)",
        "baseline = report.challenger.metrics.get(policy.metric)",
    ),
    Mutant(
        "the champion's score is the challenger's",
        "gate.opponent_rules",
        "scores = (report.challenger.metrics, opponent.scores.metrics)",
        "scores = (report.challenger.metrics, report.challenger.metrics)",
    ),
    Mutant(
        "the best is compared in place of the champion",
        "gate.opponent_rules",
        'yield _against("champion", report.champion, report, policy)',
        'yield _against("champion", report.best or report.champion, report, policy)',
    ),
    Mutant(
        "the champion is compared in place of the best",
        "gate.opponent_rules",
        'yield _against("best", report.best, report, policy)',
        'yield _against("best", report.champion, report, policy)',
    ),
    Mutant(
        "the margin's sign is flipped",
        "gate.opponent_rules",
        "pair.lower, -margin.value",
        "pair.lower, margin.value",
    ),
    Mutant(
        "the margin is ignored",
        "gate.opponent_rules",
        "pair.lower, -margin.value",
        "pair.lower, -0.0",
    ),
    Mutant(
        "the difference in place of its lower bound",
        "gate.opponent_rules",
        "compare(gate, pair.lower,",
        "compare(gate, pair.difference,",
    ),
    Mutant(
        "the upper in place of the lower bound",
        "gate.opponent_rules",
        "compare(gate, pair.lower,",
        "compare(gate, pair.upper,",
    ),
    Mutant(
        "a champion's error is no champion",
        "gate.opponent_rules",
        "if report.champion is None:\n        gate",
        "if report.champion is None or report.champion.error:\n        gate",
    ),
    Mutant(
        "a champion that cannot be compared passes",
        "gate.opponent_rules",
        'return result(gate, Answer.CANNOT_JUDGE, text)',
        'return result(gate, Answer.PASS, text)',
    ),
    Mutant(
        "a champion's error is overlooked",
        "gate.opponent_rules",
        "if opponent.error is not None:",
        "if False:",
    ),
    Mutant(
        "other rows are compared",
        "gate.opponent_rules",
        "if {scores.holdout_digest, between.holdout_digest} != {report.holdout.digest}:",
        "if False:",
    ),
    Mutant(
        "another metric is compared",
        "gate.opponent_rules",
        "if between.metric != policy.metric:",
        "if False:",
    ),
    Mutant(
        "another split is compared",
        "gate.opponent_rules",
        "if getattr(opponent_split, field) != getattr(split, field):",
        "if False:",
    ),
    Mutant(
        "a champion that was trained on the holdout is compared",
        "gate.opponent_rules",
        "if _aware(opponent_split.train_until) > _aware(split.train_until):",
        "if False:",
    ),
    Mutant(
        "a try is forgotten",
        "gate.opponent_rules",
        "if reported is None or reported < level - 1e-12:",
        "if False:",
    ),
    Mutant(
        "every try is the first",
        "gate.opponent_rules",
        "        number = tried.number\n",
        "        number = 1\n",
    ),
    Mutant(
        "tries since another generation count",
        "gate.opponent_rules",
        "tried.generation != (generation or 0)",
        "False",
    ),
    Mutant(
        "a comparison of other scores counts",
        "gate.opponent_rules",
        "_contradicts(pair):",
        "False:",
    ),
    Mutant(
        "the same version is promoted again",
        "gate.rules",
        "report.champion.serving.version == report.challenger.version",
        "False",
    ),
    Mutant(
        "bytes in place of megabytes",
        "gate.rules",
        "size / 1e6",
        "size / 1e9",
    ),
    Mutant(
        "latency is never limited",
        "gate.rules",
        "limits.latency_ms_per_1000_rows,\n        ),",
        "None,\n        ),",
    ),
    # Ranges.
    Mutant("no number has a range", "config.metric_ranges", "<= value <=", "<= value or value <="),
    Mutant(
        "a range is kept to the last bit",
        "config.metric_ranges",
        "TOLERANCE = 1e-9",
        "TOLERANCE = 0",
    ),
    Mutant(
        "any margin will do", "config.metric_ranges", "value < bounds.best - bounds.worst", "True"
    ),
    Mutant(
        "a champion's score has no range",
        "gate.range_rules",
        "opponent.scores is not None:",
        "False:",
    ),
    Mutant("limits have no range", "gate.range_rules", "in limits_out_of_range(policy)", "in ()"),
    Mutant("a metric of the team has no range", "config.metric_ranges", "if own is None:", "if 1:"),
    Mutant(
        "a metric of the team is unknown",
        "config.metric_ranges",
        " | policy.own_metrics.keys()",
        "",
    ),
    # The lead over the naive baseline.
    Mutant(
        "a point above the baseline is enough",
        "gate.lead_rules",
        "if report.baseline.answers is None or by_score.answer is not Answer.PASS:",
        "if True:",
    ),
    Mutant(
        "the difference from the baseline in place of its lower bound",
        "gate.lead_rules",
        "(finite(baseline) or 0.0) + between.lower",
        "(finite(baseline) or 0.0) + between.difference",
    ),
    Mutant(
        "what cannot be compared with the baseline passes",
        "gate.lead_rules",
        "        yield result(BASELINE_GATE, Answer.CANNOT_JUDGE, text)",
        "        yield result(BASELINE_GATE, Answer.PASS, text)",
    ),
    Mutant(
        "another metric is compared with the baseline",
        "gate.lead_rules",
        "if between.metric != policy.metric:",
        "if False:",
    ),
    Mutant(
        "other rows are compared with the baseline",
        "gate.lead_rules",
        "if between.holdout_digest != report.holdout.digest:",
        "if False:",
    ),
    Mutant(
        "a comparison with another baseline counts",
        "gate.lead_rules",
        "if gap > 1e-9 * max(1.0, abs(challenger), abs(baseline)):",
        "if False:",
    ),
    Mutant(
        "a champion of another key is compared",
        "gate.opponent_rules",
        'for field, words in (("key", "key"), ',
        "for field, words in (",
    ),
    Mutant(
        "how a key is read does not matter",
        "gate.opponent_rules",
        '("key_read", "how the key is read")):',
        "):",
    ),
    Mutant(
        "a champion of before its key was noted is another's",
        "gate.opponent_rules",
        "if None not in {before, now} and before != now:",
        "if before != now:",
    ),
    Mutant(
        "data that changed is a mere no",
        "gate.lead_rules",
        "answer = Answer.CANNOT_JUDGE if is_far",
        "answer = Answer.FAIL if is_far",
    ),
    Mutant(
        "data that changed passes",
        "gate.lead_rules",
        "answer = Answer.CANNOT_JUDGE if is_far",
        "answer = Answer.PASS if is_far",
    ),
    Mutant(
        "the champion's own error alone says what is far",
        "gate.lead_rules",
        "math.hypot(error, error_then)",
        "error",
    ),
    Mutant(
        "another mix of classes is taken for other data",
        "gate.lead_rules",
        " and lead < KEPT * lead_then",
        "",
    ),
    Mutant(
        "chance is taken for other data",
        "gate.lead_rules",
        "score_then - score > allowed and lead",
        "lead",
    ),
    Mutant(
        "a champion that does better is taken for other data",
        "gate.lead_rules",
        "score_then - score > allowed",
        "abs(score_then - score) > allowed",
    ),
    Mutant(
        "a score by another metric is held against this one",
        "gate.lead_rules",
        "if then is None or then.metric != policy.metric:",
        "if then is None:",
    ),
    Mutant(
        "a champion without an error of its score passes",
        "gate.lead_rules",
        "        yield result(DATA_GATE, Answer.CANNOT_JUDGE, text)",
        "        yield result(DATA_GATE, Answer.NOT_JUDGED, text)",
    ),
    # The margin that nobody set.
    Mutant(
        "the margin that was set is overruled",
        "gate.margin",
        "if policy.champion.margin is not None:",
        "if False:",
    ),
    Mutant(
        "the margin may take the whole lead",
        "gate.margin",
        "MAX_LEAD_SHARE = 0.5",
        "MAX_LEAD_SHARE = 1.0",
    ),
    Mutant(
        "the margin may take more than the lead",
        "gate.margin",
        "min(ERRORS * error, MAX_LEAD_SHARE * (score - naive))",
        "ERRORS * error",
    ),
    Mutant(
        "the margin does not narrow with the error",
        "gate.margin",
        "min(ERRORS * error, MAX_LEAD_SHARE * (score - naive))",
        "MAX_LEAD_SHARE * (score - naive)",
    ),
    Mutant(
        "the margin is half as wide again",
        "gate.margin",
        "ERRORS * error,",
        "1.5 * ERRORS * error,",
    ),
    Mutant("a margin may be negative", "gate.margin", "max(0.0, min(", "max(-1.0, min("),
    Mutant(
        "the challenger's error makes its own margin",
        "gate.margin",
        "error = finite(scores.standard_error) if scores else None",
        "error = finite(report.challenger.standard_error)",
    ),
    # Slices and fairness.
    Mutant(
        "a slice that is missing passes",
        "gate.group_rules",
        'yield result(gate, Answer.CANNOT_JUDGE, text)\n            continue',
        "continue",
    ),
    Mutant(
        "only the first slice",
        "gate.group_rules",
        "for scores in slices for",
        "for scores in slices[:1] for"
    ),
    Mutant(
        "a slice's minimum is skipped",
        "gate.group_rules",
        "if rule.minimum is not None:",
        "if False:",
    ),
    Mutant(
        "a slice's drop is skipped",
        "gate.group_rules",
        "elif rule.max_drop is not None:",
        "elif False:",
    ),
    Mutant(
        "the drop's sign is flipped",
        "gate.group_rules",
        "champion - rule.max_drop",
        "champion + rule.max_drop",
    ),
    Mutant(
        "a slice without its interval",
        "gate.group_rules",
        "at_least(value, least) or (upper is not None and at_least(upper, 0.0))",
        "at_least(value, least)",
    ),
    Mutant(
        "a slice's interval alone",
        "gate.group_rules",
        "at_least(value, least) or (upper",
        "(upper",
    ),
    Mutant(
        "what is not defined in a slice is a mere no",
        "gate.group_rules",
        'yield result(coverage, Answer.NOT_JUDGED, text)\n        return',
        'yield result(coverage, Answer.FAIL, text)\n        return',
    ),
    Mutant(
        "small slices are judged",
        "gate.group_rules",
        "if scores.rows < policy.min_group_rows:",
        "if False:",
    ),
    Mutant(
        "a slice says itself whether it is judged",
        "gate.group_rules",
        "if scores.rows < policy.min_group_rows:",
        "if not scores.is_judged:",
    ),
    Mutant(
        "an attribute that is missing passes",
        "gate.group_rules",
        "yield result(gate, Answer.CANNOT_JUDGE, text)\n        else:",
        "pass\n        else:",
    ),
    Mutant(
        "disparate impact is skipped",
        "gate.group_rules",
        "if rule.min_disparate_impact is not None:",
        "if False:",
    ),
    Mutant(
        "equalised odds are skipped",
        "gate.group_rules",
        "if rule.max_equalized_odds_difference is not None:",
        "if False:",
    ),
    Mutant(
        "disparate impact upside down",
        "gate.group_rules",
        "rule.min_disparate_impact, at_least,",
        "rule.min_disparate_impact, at_most,",
    ),
    Mutant(
        "the ratio of the labels is judged",
        "gate.group_rules",
        "ratio = audit.disparate_impact if",
        "ratio = audit.label_disparate_impact if",
    ),
    Mutant(
        "a missing rate is left out of the ratio",
        "gate.group_rules",
        "return known if len(known) == len(rates) else []",
        "return known",
    ),
    Mutant(
        "one group is enough to judge fairness",
        "gate.group_rules",
        "if len(judged) < 2:",
        "if len(judged) < 1:",
    ),
    Mutant(
        "two groups are too few",
        "gate.group_rules",
        "if len(judged) < 2:",
        "if len(judged) < 3:",
    ),
    Mutant(
        "a rule that judged nobody passes",
        "gate.group_rules",
        "if not rule.may_judge_nobody and all(",
        "if False and all(",
    ),
    Mutant(
        "a rule that may judge nobody is refused",
        "gate.group_rules",
        "if not rule.may_judge_nobody and all(",
        "if all(",
    ),
    Mutant(
        "fairness that judged nobody passes",
        "gate.group_rules",
        "if rule.may_judge_nobody:",
        "if True:",
    ),
    Mutant(
        "a drop that waits for a champion judged nobody",
        "gate.group_rules",
        "if not is_first:",
        "if True:",
    ),
    Mutant(
        "without a champion, small slices are no matter",
        "gate.group_rules",
        "is_first = report.champion is None and any(",
        "is_first = report.champion is None or any(",
    ),
    # What a lost champion excuses.
    Mutant(
        "a lost champion excuses every rule",
        "steps.decide",
        "gate.rule in NEEDS_CHAMPION",
        "True",
    ),
    Mutant(
        "a lost champion excuses by the title",
        "steps.decide",
        "gate.rule in NEEDS_CHAMPION",
        "gate.gate.endswith(' against champion')",
    ),
    Mutant(
        "what was refused is excused",
        "steps.decide",
        "gate.answer is Answer.CANNOT_JUDGE and gate.rule",
        "gate.rule",
    ),
    Mutant(
        "a lost champion excuses nothing",
        "steps.decide",
        "gate.rule in NEEDS_CHAMPION",
        "False",
    ),
    Mutant(
        "a slice's own minimum is the champion's by its old title",
        "gate.old_titles",
        "and not (rule in _OF_A_SLICE_AND_CHAMPION and is_refused_with_limit)",
        "",
    ),
    # The wiring.
    Mutant(
        "deploy does not look at the stored verdict",
        "decisions.evidence",
        f"{_SAME}    return evidence\n",
        "    return evidence\n",
    ),
    Mutant(
        "deploy believes the stored verdict",
        "decisions.evidence",
        f"{_SAME}    return evidence\n",
        "    stored = Verdict.from_bytes(\n"
        "        store.read(evidence.paths.verdict(run.clear)), where='verdict')\n"
        "    return evidence._replace(verdict=stored)\n",
    ),
    Mutant(
        "promote is reachable without the gate",
        "steps.decide",
        "if not verdict.passed:",
        "if False:",
    ),
    Mutant(
        "the registry promotes what did not pass",
        "registry.promotion_rules",
        "if not verdict.passed:",
        "if False:",
    ),
    Mutant(
        "the registry takes any verdict",
        "registry.promotion_rules",
        "if actual != expected:",
        "if False:",
    ),
    Mutant(
        "cannot judge is recorded as rejected",
        "steps.decide",
        "is_rejected = verdict.answer is Answer.FAIL",
        "is_rejected = True",
    ),
    Mutant(
        "any code judges",
        "steps.decide",
        "    check_same_judge(evidence.manifest.code)\n",
        "",
    ),
    Mutant("a yes can be refused", "steps.decide", "if verdict.passed:\n", "if False:\n"),
    Mutant(
        "a dry run promotes",
        "steps.decide",
        "if evidence.manifest.params.dry_run:\n        return Outcome",
        "if False:\n        return Outcome",
    ),
    Mutant(
        "a closed run is promoted",
        "steps.decide",
        "if closed is not None:",
        "if False:",
    ),
    Mutant(
        "the steps before the evaluation need no result",
        "decisions.evidence",
        'for step in ("validate", "train"):',
        "for step in ():",
    ),
    Mutant(
        "the rules are not those of the plan",
        "decisions.evidence",
        "if policy.digest != manifest.policy_digest:",
        "if False:",
    ),
    Mutant(
        "the version's files are not checked",
        "registry.promotion_rules",
        "verify_version(store, manifest)",
        "pass",
    ),
    Mutant(
        "older data replaces newer",
        "registry.promotion_rules",
        "if date >= champion.data_date or _is_forced(manifest):",
        "if True:",
    ),
    Mutant(
        "a promotion may come too soon",
        "registry.promotion",
        "if early is not None:",
        "if False:",
    ),
    Mutant(
        "no day is too soon", "registry.promotion_rules", "if now >= earliest:", "if True:"
    ),
    Mutant(
        "a reason forces",
        "registry.promotion_rules",
        "return manifest.params.force_retrain and bool(manifest.params.reason)",
        "return bool(manifest.params.reason)",
    ),
    Mutant(
        "forcing needs no reason",
        "registry.promotion_rules",
        "return manifest.params.force_retrain and bool(manifest.params.reason)",
        "return manifest.params.force_retrain",
    ),
    Mutant(
        "what came too soon is superseded",
        "steps.decide",
        "Outcome(error.kind)",
        "Outcome.SUPERSEDED",
    ),
    Mutant(
        "who is slower promotes all the same",
        "registry.promotion",
        "head, judged_against = self.log.head(), verdict.judged_against",
        "head = judged_against = self.log.head()",
    ),
    Mutant(
        "an entry of another is overwritten",
        "registry.promotion",
        "if not self.store.create(key, data):",
        "if self.store.write(key, data):",
    ),
    Mutant(
        "the newest entry is not chained to the one before",
        "registry.promotion_log",
        "if entry.previous_sha256 != (before and sha256_of(before)):",
        "if False:",
    ),
    Mutant(
        "an empty place is a model without a champion",
        "registry.promotion_log",
        "            require_initialised(self.store)",
        "            pass",
    ),
    Mutant(
        "another's entry is taken for one's own",
        "registry.promotion",
        "if (entry.run_id, entry.version, entry.verdict_digest) == expected:",
        "if True:",
    ),
    Mutant(
        "a promotion is recorded as its caller believes",
        "decisions.gathering",
        "outcome, reason, previous = Outcome.PROMOTED, headline, served_before(log, entry)",
        "previous = _previous(log, entry)",
    ),
    Mutant(
        "promoted is recorded without an entry in the log",
        "decisions.gathering",
        "elif outcome is Outcome.PROMOTED:",
        "elif False:",
    ),
    Mutant(
        "failed stays the last word",
        "steps.close_run",
        "if actual.outcome is not Outcome.PROMOTED:\n        return record",
        "if True:\n        return record",
    ),
)  # fmt: skip


class _Code:
    """The functions of a set of copies, as the checks call them."""

    def __init__(self, modules: Mapping[str, types.ModuleType]) -> None:
        decide = modules["steps.decide"]
        self.check_quality = decide.check_quality
        self.deploy = decide.deploy
        self.abort = decide.abort
        self.promote_unjudged = decide.promote_unjudged
        self.evidence = modules["decisions.evidence"].judge_evidence
        self.close_run = modules["steps.close_run"].close_run
        self.outcome = modules["decisions.record"].Outcome
        self.registry = modules["registry.promotion"].Registry


def _source(module: str) -> str:
    spec = importlib.util.find_spec(f"include.retraining.{module}")
    assert spec is not None
    assert spec.origin is not None
    return Path(spec.origin).read_text(encoding="utf-8")


def load_copies(mutant: Mutant | None, names: Sequence[str]) -> dict[str, types.ModuleType]:
    """Execute copies of some modules, one of them changed, that import one another."""
    copies: dict[str, types.ModuleType] = {}
    with _restored_modules(names):
        for name in names:
            source = _source(name)
            if mutant is not None and mutant.module == name:
                source = source.replace(mutant.old, mutant.new)
            full_name = f"include.retraining.{name}"
            copies[name] = sys.modules[full_name] = types.ModuleType(full_name)
            exec(compile(source, f"<{name} of a mutant>", "exec"), copies[name].__dict__)
    return copies


@contextmanager
def _restored_modules(names: Sequence[str]) -> Iterator[None]:
    kept = {
        name: importlib.import_module(name) for name in map("include.retraining.{}".format, names)
    }
    try:
        yield
    finally:
        sys.modules.update(kept)


def _killer(mutant: Mutant | None, folder: Path) -> str | None:
    """Return the first check that notices that a copy is wrong."""
    if mutant is None or mutant.module in GATE:
        judge = load_copies(mutant, GATE)["gate.rules"].judge
        for case in CASES:
            try:
                check(judge, case)
            except Exception:  # noqa: BLE001 a mutant may break in any way
                return case.name
    code = _Code(load_copies(mutant, MODULES))
    for number, decide_check in enumerate(CHECKS):
        store = initialise(f"file://{folder / str(number)}", {})
        try:
            decide_check(code, store)
        except (Exception, Failed):  # noqa: BLE001 as above; Failed is a missing `raises`
            return decide_check.__name__
    return None


@pytest.mark.slow
def test_the_copies_behave_as_the_originals(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Unchanged copies pass every check, so what kills a mutant is its change."""
    monkeypatch.setattr(os, "fsync", lambda descriptor: None)
    assert _killer(None, tmp_path) is None


@pytest.mark.slow
@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name)
def test_mutants_are_killed(
    mutant: Mutant,
    tmp_path: Path,
    record_property: Any,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Each wrong gate or wiring is noticed by a check."""
    monkeypatch.setattr(os, "fsync", lambda descriptor: None)  # no power is cut here
    found = _source(mutant.module).count(mutant.old)
    assert found == 1, f"{mutant.module}.py has {found} places like {mutant.old!r}: mend the mutant"
    killer = _killer(mutant, tmp_path)
    assert killer is not None, f"this wrong gate survived: {mutant.name}"
    record_property("killed_by", killer)
    with capsys.disabled():
        sys.stdout.write(f"\nkilled: {mutant.name} (by {killer})")


def test_the_list_is_complete() -> None:
    """No mutant is listed twice, and every rule of the gate is left out by one."""
    assert len({mutant.name for mutant in MUTANTS}) == len(MUTANTS)
    from include.retraining.gate import rules as gate

    left_out = {m.old.strip(" ,\n") for m in MUTANTS if m.name.startswith("rule left out")}
    assert left_out == {rule.__name__ for rule in gate._RULES}
    assert inspect.getsource(gate).count("_RULES = (") == 1
