"""A step as an invocation of AWS Lambda. Start with `operator.py`; `client.py` asks AWS."""
