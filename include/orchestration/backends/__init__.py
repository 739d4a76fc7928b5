"""Where a heavy step runs: on the worker, on AWS Batch, on Kubernetes; a room for each.

Knows nothing of notifications. Start with `job_task.py`, which chooses.
"""
