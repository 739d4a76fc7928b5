"""Where a heavy step runs: on the worker, AWS Batch, Kubernetes or AWS Lambda, a folder for each.

It may import the runtime, and sends no notice. Start at `job_task.py`, which chooses the backend;
each folder's `failure.py` turns its platform's messages into reasons.
"""
