"""The MLflow server. Its store is in SQLite; its artifacts are files in the same folder. It answers only
what `access.py` lists, and writes need a token."""
