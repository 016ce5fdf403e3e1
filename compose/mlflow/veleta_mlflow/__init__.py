"""MLflow's server: its store in SQLite, its artifacts, proxied, in files beside it."""
