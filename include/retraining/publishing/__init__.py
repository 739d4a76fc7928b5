"""Publishing: keeping MLflow, a pointer file and a webhook in step with the promotion log.

It may import all rooms but the command line. Start at `follow.py`; what is known of each target is
in `state.py`, one file has each target. Airflow's task is in `include/orchestration/publishing/`.
"""
