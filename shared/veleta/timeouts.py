"""The time-outs of all network calls, in seconds. A decision record has them in one table.

A dependency that does not answer within a time-out is unavailable (Retry). It is never an error of the data.
"""

import socket

CHECK_SECONDS = 5.0
"""A check of a dependency for /readyz. With PAUSE_SECONDS an outage is shown within 10 s."""
PAUSE_SECONDS = 2.0
"""The pause between two checks of a dependency."""

STATEMENT_SECONDS = 30.0
"""MySQL: one answer to a statement, or a part of it. A statement that may take longer must be split."""
SCHEMA_SECONDS = 3600.0
"""MySQL: a change of a table by `veleta_prepare`. It cannot be split, and no service waits for it."""
LOCK_SECONDS = 15
"""MySQL: the wait for a row or a table that another transaction has locked."""
IDLE_SECONDS = 60
"""MySQL: the pause between two statements, after which the server closes the connection and rolls back."""
LOADER_IDLE_SECONDS = 600
"""MySQL: the same for the loader, which reads a batch from Kafka within its transaction."""
TRANSACTION_SECONDS = 300.0
"""MySQL: a transaction on the event loop. asyncmy does not limit the time to send a statement."""

KAFKA_REQUEST_SECONDS = 10.0
"""Kafka: one request to the broker."""
FAUST_REQUEST_SECONDS = 15.0
"""Kafka: the same for Faust, which needs more than its session's 10 s."""
KAFKA_RECONNECT_SECONDS = 2.0
"""Kafka: the longest pause between two attempts to connect. The library's own would be 30 s."""
KAFKA_PUBLISH_SECONDS = 30.0
"""Kafka: until a message is acknowledged, with the repeats of the library."""
KAFKA_SILENCE_SECONDS = 20.0
"""Kafka: a read that waits this long for the next record. What the caller does between two records does not count."""

MLFLOW_SECONDS = 30
"""MLflow: the connection, and each part of an answer. A request is repeated once."""
DOWNLOAD_SECONDS = 90.0
"""MLflow: a download as a whole, however slowly its parts arrive."""

SPARK_MASTER_SECONDS = 3.0
"""Spark: the connection to the master before a session starts."""

KEEPALIVE = (
    (socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1),
    (socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, 15),
    (socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, 5),
    (socket.IPPROTO_TCP, socket.TCP_KEEPCNT, 3),
)
"""TCP keepalive: a connection whose other end is gone breaks after 30 s. The kernel's default is two hours."""
