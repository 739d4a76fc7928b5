"""The core: everything that decides, in plain Python, without Airflow.

Each folder is a room: one concept, one place in the order of imports. `docs/architecture.md` shows
the order, and `lint-imports` holds it.
"""
