"""The dossier: the technical documentation of a champion, made from its records alone.

Its sections are those of Annex IV of the EU AI Act (Regulation (EU) 2024/1689). Start at
`sections.py`; `sources.py` finds the records, and `render.py` writes the document.
"""
