"""Code that Veleta's services share.

Read it in this order: `dataset` (the file that declares the columns), `events` and `topics` (the contract), `ports`
(what a service requires of the outside world), `processing` (the steps for one record), `adapters` (Kafka, MySQL and
MLflow), `service` (how each process starts, reports its health and stops).
"""

import os

# MLflow starts its telemetry when it is imported, so this must be set before. The telemetry thread writes to os.environ
# while others read it, and calls of the registry sometimes fail with a KeyError.
os.environ["MLFLOW_DISABLE_TELEMETRY"] = "true"
