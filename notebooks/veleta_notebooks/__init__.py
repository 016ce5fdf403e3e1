"""The code that the notebooks import: it loads models and rows of the running system, and compares versions."""

import veleta  # noqa: F401 - must be imported before mlflow, because it switches off mlflow's telemetry
