"""What Veleta's services share.

Read it from the outside in: `dataset` (the one file that names columns), `events` and `topics` (the contract),
`ports` (what a service may ask of the world), `loop` (what happens to one record), `adapters` (Kafka, MySQL, MLflow
and their twins in memory), `service` (how every process starts and stops).
"""

import os

# MLflow's telemetry begins when it is imported, so this comes before. Its thread writes to os.environ while others read
# it, and a call of the registry would fail with a KeyError now and then.
os.environ["MLFLOW_DISABLE_TELEMETRY"] = "true"
