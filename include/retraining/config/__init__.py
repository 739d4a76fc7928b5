"""A model's configuration: its YAML and its Python file, loaded and checked.

It is light, because every DAG file imports it at each parse, and never opens the store. Start at
`model.py`.
"""
