"""The operator's pages in the Airflow UI. They show what the store holds, and change nothing."""
