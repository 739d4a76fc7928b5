"""A step as a job on AWS Batch. Start with `operator.py`; only `client.py` speaks to AWS."""
