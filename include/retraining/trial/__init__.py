"""Trying a model without Airflow: the steps of a run, on a delivery that the user names.

Nothing is promoted but, in a store of the trial's own, the model to compare with. Start at
`model_trial.py`.
"""
