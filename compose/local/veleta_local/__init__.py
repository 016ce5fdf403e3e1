"""Runs Veleta on one Linux machine without Docker and without root.

Apache Kafka and MariaDB are pinned Maven artifacts (downloads.py). Supervisor runs them, the MLflow server and the
services (supervise.py). All data are in one folder, the run's home (deployment.py). Two runs with different homes and
different PORT_BASEs can run side by side.

The tests use `Run` (run.py); the Makefile calls `python -m veleta_local`.
"""
