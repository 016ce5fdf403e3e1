"""Runs Veleta on one Linux machine without Docker and without root.

Apache Kafka and MariaDB come as pinned Maven artifacts (downloads.py); they, MLflow's server and the services
run under supervisor (supervise.py) with all their data in one folder, the run's home (deployment.py).
Two runs with two homes and two PORT_BASEs live side by side.

`Run` (run.py) is what the tests use; `python -m veleta_local` is what the Makefile calls.
"""
