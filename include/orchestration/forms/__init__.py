"""What a person may type when triggering a DAG, and the checks of what was typed.

It knows no other room. Start at `run_form.py`, then `request_form.py`.
"""
