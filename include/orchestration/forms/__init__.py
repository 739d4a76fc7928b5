"""The forms for triggering a DAG, and the checks of their values.

It knows no other room. Start at `run_form.py`, then `request_form.py`.
"""
