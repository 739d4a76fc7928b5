"""How each chart and table of the card and the pages is read, and what it does not prove."""

from __future__ import annotations

HOW_TO_READ = {
    "gates": 'Each line is one rule; one failed rule is enough for a no, and "not judged" '
    "counts neither way. A pass says that these rows give no reason to refuse, not that the "
    "version is right for every use.",
    "scores": "Every version on the same rows, so compare along a line. Two scores may differ "
    "by chance: the comparisons below say how much, with their intervals.",
    "confusion_matrix": "Rows by what they are (down) and what the challenger predicts "
    "(across); correct predictions lie on the diagonal. It does not show what each kind of "
    "error costs, nor how the picture changes with another threshold.",
    "roc": "The share of the positive rows that is found, for each share of false alarms; "
    "nearer to the upper left corner is better. It does not show how often a yes is right where "
    "positives are rare, and curves close to each other may differ by chance.",
    "precision_recall": "How often a yes is right, for each share of the positive rows that is "
    "found; higher is better. The dotted line is the share of positives: where that differs, "
    "curves cannot be compared.",
    "calibration": "Ten groups of rows by predicted probability: on the dotted line, 70 % means "
    "70 %. A group has few rows, so a point beside the line is no proof of an error, and a "
    "calibrated model may still rank badly.",
    "actual_predicted": "Up to 1,000 rows of the holdout: on the dotted line, the prediction is "
    "right. How close the cloud lies depends on the range of the labels, so clouds of different "
    "data cannot be compared.",
    "residuals": "What the predictions miss, row by row; a pattern means that the challenger "
    "overlooks something. A cloud without a pattern does not prove that there is nothing more "
    "to learn.",
    "slices": "The decision metric within each group of rows; compare a group with the champion "
    "on the same group, not with another group. Groups differ in difficulty, and the score of a "
    "small one swings by chance.",
    "slices_plot": "One bar for each group and version, with the group's rows beside its name; "
    "compare the two bars of a group. The bars have no intervals: the gates above say which "
    "drop is more than chance.",
    "fairness": "How the challenger treats each group: how many rows it selects, and how often "
    "rightly. Similar rates do not prove fairness, and different rates do not show where the "
    "difference comes from.",
    "importances": "The greater the number, the more of the score on these rows comes from the "
    "column; an interval that contains 0 may be chance. It shows no cause, nor what the model "
    "follows without a gain; columns that carry the same information hide one another.",
    "files": "The files that were read, with size and digest. The same digest proves the same "
    "file, not that its content is right.",
    "making": "What the version was made from: with all of it unchanged, training makes the same "
    "version again. It does not say how good that version is.",
    "models": "One model a line, those that need attention first; the small curve is the "
    "decision metric of its challengers, the newest to the right. It has no scale, and each run "
    "had rows of its own: a step in it need not come from the model.",
    "metric_over_time": "One point a run; the bar is the challenger's 95 % interval, by its "
    "paired difference from the champion on the same rows. Runs have different rows, so a rise "
    "or fall from run to run does not prove that the models got better or worse.",
    "promise": "In brackets the 95 % intervals. The promise is of the rows that the gate judged "
    "the champion on, and these are others: compare it with later deliveries before you act on it. "
    "It does not say why a score fell.",
    "promises": "One point a delivery: the champion on rows that it never saw, with its 95 % "
    "interval; the step is what its gate had promised. One point below says little, two in a row "
    "beyond chance raise the alarm `decayed`. It does not say why.",
    "promotions": "Each line is one change of champion, the newest first; a score is of the run "
    "that promoted, on its own rows, so scores cannot be compared down the column.",
    "series": "The newest value against its limit, and the curve of the runs before. Each run "
    "had rows of its own, and small groups swing by chance.",
    "moved": "Movement by limit: above 1, a column moved more than earlier inputs and chance "
    "explain; the bars are shares of rows, in training and now. That a column moved does not say "
    "that predictions are worse.",
    "usage": "What the last run of each step used, and the most of the runs shown; the bar is "
    "its share of the memory given. It does not bound what a larger delivery will need.",
    "steps": "What each step of this run used, beside what it was given. The peak is of one run "
    "and not a limit: another machine or a larger delivery may need more.",
}
"""By the name of the chart or table."""
