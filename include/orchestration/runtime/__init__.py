"""What every task needs of Airflow: its run, its bundle, the store, connections, addresses.

The lowest room: it imports the core only. Start at `store.py`, then `run_reference.py`.
"""
