"""What `make run` does and prints, with the sample models. Start with `run.py`."""
