"""A step as a pod. Start with `operator.py`; only `pod.py` knows the provider's operator."""
