"""What the DAGs use: the models, the core and the orchestration around it."""
