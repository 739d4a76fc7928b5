"""What people are told, and when: callbacks of runs and tasks, and the way to Slack.

The texts are the core's; here are the moments, the links and Airflow's connections. Start with
`run_ended.py`.
"""
