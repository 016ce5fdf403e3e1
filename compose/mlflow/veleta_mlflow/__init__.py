"""The MLflow server. Its store is in SQLite; it serves its artifacts, which are files in the same folder."""
