"""Publishing champions to MLflow, pointer files and webhooks: which models, by which connections.

What is published, and how targets are compared, is in `include/retraining/publishing/`. It may
import every other room. Start at `tasks.py`.
"""
