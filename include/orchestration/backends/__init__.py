"""Where a heavy step runs: on the worker, on AWS Batch or on Kubernetes, a folder for each.

It knows the runtime, and sends no notice. Start at `job_task.py`, which chooses.
"""
