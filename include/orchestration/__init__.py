"""What needs Airflow: operators, callbacks, backends, forms, and opening the store.

Its folders are rooms like the core's; `docs/architecture.md` shows their order.
"""
