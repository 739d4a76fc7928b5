"""The core: everything that decides, in plain Python, without Airflow."""
