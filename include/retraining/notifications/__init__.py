"""Notifications: what Slack messages say, the outbox they wait in, and sending and resending them.

They may import decisions and the rooms below. Start at `notice.py`; how long a failed message waits
is in `outbox.py`. Airflow's callbacks are in `include/orchestration/callbacks/`.
"""
