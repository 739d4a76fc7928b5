"""What needs Airflow: operators, parameters, callbacks and the way to the store."""
