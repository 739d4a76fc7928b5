"""A model's configuration: its YAML and its Python file, loaded and checked.

Light on purpose: every DAG file imports it at each parse. It knows no store. Start at `model.py`.
"""
