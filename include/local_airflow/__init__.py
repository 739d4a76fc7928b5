"""Airflow on one machine: what `make run` starts, and what the end-to-end tests use."""
