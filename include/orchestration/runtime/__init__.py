"""What every task needs of Airflow: its run, its bundle, the store, connections, addresses.

The lowest room: knows the core only. Start with `store.py` and `run_reference.py`.
"""
