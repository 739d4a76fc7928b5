"""When people are told: the callbacks of runs and tasks, and Slack by Airflow's connections.

The texts are the core's. It knows the backends, to end the jobs of a run that has ended, and all
below. Start at `run_ended.py`.
"""
