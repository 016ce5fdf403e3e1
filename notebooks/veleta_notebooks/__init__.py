"""What the notebooks import: models and rows of the running system, and what can be said of them in words."""

import veleta  # noqa: F401 - before any of mlflow, whose telemetry it switches off
