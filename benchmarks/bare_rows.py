"""The bare script of the large benchmark: read, fit, score; nothing is checked or kept."""

from __future__ import annotations

import sys

import pandas as pd
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.metrics import accuracy_score, roc_auc_score

features = [f"x{number:02d}" for number in range(18)]
read = pd.read_csv if sys.argv[1].endswith(".csv") else pd.read_parquet
frame = read(sys.argv[1])
is_holdout = frame["row_id"] % 5 == 0
train, holdout = frame[~is_holdout], frame[is_holdout]
model = HistGradientBoostingClassifier(max_iter=100, early_stopping=False, random_state=1)
model.fit(train[features], train["label"])
scores = model.predict_proba(holdout[features])[:, 1]
print(roc_auc_score(holdout["label"], scores), accuracy_score(holdout["label"], scores > 0.5))
