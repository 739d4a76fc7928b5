"""The quality gate: from a report and a policy to PASS, FAIL or CANNOT JUDGE.

Pure: it reads no store, no clock and no model. `report.py` is all that it reads. Start at
`rules.py`.
"""
