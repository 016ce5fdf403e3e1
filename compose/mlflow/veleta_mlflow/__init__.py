"""The MLflow server, which answers only the paths in `access.py`, and accepts a write only with a token.

Its store is in SQLite; its artifacts are files in the same folder.
"""
