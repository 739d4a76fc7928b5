"""The forms for triggering a DAG, and the checks of their values.

It imports no other room. Start at `run_form.py`, then `request_form.py`. The approval's form is in
`operators/approve_promotion.py`.
"""
