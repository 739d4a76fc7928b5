"""What a person may type when triggering a DAG, and the checks of what was typed.

Knows no other room. Start with `run_form.py`.
"""
