"""How each chart and table of the card and the pages is read, and what it does not prove."""

from __future__ import annotations

HOW_TO_READ = {
    "gates": "Each line is one rule; one refusal is enough for a no, and not judged is neither a "
    "yes nor a no. A pass says that these rows give no reason to refuse, not that the version is "
    "right for every use.",
    "scores": "Versions side by side on the same rows, so compare along a line. Two scores may "
    "differ by chance: that is what the intervals of the comparisons below are for.",
    "confusion_matrix": "Down, what a row is; across, what the challenger predicts; right answers "
    "are on the diagonal. It does not show what each kind of error costs, nor how it would look "
    "with another threshold.",
    "roc": "How many of the positive rows are found for each share of false alarms; further up "
    "and to the left is better. It does not show how often a yes is right where positives are "
    "rare, and curves that lie close may differ by chance.",
    "precision_recall": "How often a yes is right for each share of the positive rows that is "
    "found; higher is better. The dotted line moves with the share of positives, so curves of "
    "other data cannot be compared with these.",
    "calibration": "Ten groups of rows by predicted probability: on the dotted line, 70 % means "
    "70 %. A group has few rows, so a point beside the line is no proof, and a calibrated model "
    "may still rank badly.",
    "actual_predicted": "Up to 1,000 rows of the holdout: on the dotted line, the prediction is "
    "right. How close the cloud lies depends on the range of the labels; it compares no versions.",
    "residuals": "What the challenger leaves unexplained; a pattern means that it misses "
    "something. A cloud without one does not prove that there is nothing more to learn.",
    "slices": "The decision metric within each group of rows; compare a group with the champion on "
    "the same group. Groups differ in difficulty and size, and a small one swings by chance.",
    "slices_plot": "One bar for each group and version, the group's rows beside its name; compare "
    "the two bars of a group. The bars have no intervals: which drop is one beyond chance, "
    "the gates above say.",
    "fairness": "How the challenger treats each group: how many it selects, and how often rightly. "
    "Similar rates do not prove fairness, and different ones do not say where they come from.",
    "importances": "How much the score loses when a column's values come from other rows, with a "
    "95 % interval; one that contains 0 may be chance. It is what this model relies on, no "
    "cause; columns that say the same hide one another; of many intervals, a few miss.",
    "files": "The files that were read, by size and digest. A digest proves that a file is the "
    "same, not that its content is right.",
    "making": "What made the version. With all of it the same, the same version is made again; it "
    "does not say that it is a good one.",
    "models": "One model a line, what needs someone first; the small curve is the challengers' "
    "decision metric, the newest to the right. It has no scale, and each run had rows of its own: "
    "a step in it need not be the model's.",
    "metric_over_time": "One place a run: the bar is where the challenger lies with 95 %, by its "
    "paired difference from the champion on the same rows. Runs have other rows, so a rise or a "
    "fall from run to run does not prove that models got better or worse.",
    "promotions": "Each line is one change of the champion, the newest first; values are of the "
    "run that promoted, each on its own rows. They cannot be compared down the column.",
    "series": "The newest value against its limit, and the curve of the runs before. Each run had "
    "rows of its own, and small groups swing by chance.",
    "usage": "What the last run of each step used, and the most of the runs shown; the bar is its "
    "share of the memory given. It does not bound what a larger delivery will take.",
    "steps": "What each step of this run used, beside what it was given. It is the peak of one run: "
    "another machine or a larger delivery may need more, so it is no limit.",
}
"""By the name of the chart or table."""
