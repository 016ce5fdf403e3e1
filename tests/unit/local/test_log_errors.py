"""The reason why a program ended, from what it printed."""

import pytest

from veleta_local.log_errors import last_logged_error, reason_of

SERVICE = """\
{"event": "training failed", "level": "error", "exception": [{"exc_type": "KeyError", "exc_value": "'bed'"}]}
{"event": "stopping", "level": "info"}
trainer: cannot listen on port 8094: Address already in use
"""
EXCEPTION = """\
Traceback (most recent call last):
  File "client.py", line 3, in get
    raise OSError
OSError: refused

The above exception was the direct cause of the following exception:

Traceback (most recent call last):
  File "main.py", line 7, in <module>
    main()
sqlite3.DatabaseError: file is not a database
[SQL: SELECT 1]
(Background on this error at: https://sqlalche.me/e/20/4xp6)
"""
GROUP = """\
  + Exception Group Traceback (most recent call last):
  |   File "lifecycle.py", line 66, in run
  |     runner.run(with_signals())
  | ExceptionGroup: unhandled errors in a TaskGroup (1 sub-exception)
  +-+---------------- 1 ----------------
    | Traceback (most recent call last):
    |   File "poll_loop.py", line 4, in run
    |     raise ValueError
    | ValueError: the inbox is unreadable
    +------------------------------------
"""
KAFKA = """\
[main] INFO org.apache.kafka.common.utils.AppInfoParser - Kafka version: 4.1.0
[main] ERROR kafka.network.DataPlaneAcceptor - Unable to start acceptor for PLAINTEXT
org.apache.kafka.common.KafkaException: Socket server failed to bind to 127.0.0.1:9092: in use.
\tat kafka.network.Acceptor.openServerSocket(SocketServer.scala:615)
[main] ERROR kafka.Kafka$ - Exiting Kafka due to fatal exception during startup.
java.lang.RuntimeException: Received a fatal error while waiting for all of the SocketServer Acceptors to be started
[kafka-shutdown-hook] INFO org.apache.kafka.common.utils.AppInfoParser - App info kafka.server for 1 unregistered
"""
MARIADB = """\
2026-11-27 10:27:17 0 [Note] Starting MariaDB 11.4.5-MariaDB source revision 0771110266ff5c04 as process 12059
2026-11-27 10:27:17 0 [ERROR] InnoDB: The data file './ibdata1' is of a different size 0 pages than specified
2026-11-27 10:27:17 0 [ERROR] Plugin 'InnoDB' registration as a STORAGE ENGINE failed.
2026-11-27 10:27:17 0 [ERROR] Aborting
"""
MLFLOW = """\
2026/11/27 10:26:35 INFO:     Application startup complete.
2026/11/27 10:26:35 ERROR:    [Errno 98] error while attempting to bind on address ('127.0.0.1', 5000): in use
2026/11/27 10:26:35 INFO:     Application shutdown complete.
"""
MAVEN = "[INFO] Scanning\n[ERROR] no network\n[ERROR] Re-run Maven using the -X switch\n"
STREAMLIT = "  You can now view your app in your browser.\n\nPort 8501 is not available\n"


@pytest.mark.parametrize(
    ("output", "reason"),
    [
        (SERVICE, "trainer: cannot listen on port 8094: Address already in use"),
        (EXCEPTION, "sqlite3.DatabaseError: file is not a database"),
        (GROUP, "ValueError: the inbox is unreadable"),
        (KAFKA, "org.apache.kafka.common.KafkaException: Socket server failed to bind to 127.0.0.1:9092: in use."),
        (MARIADB, "InnoDB: The data file './ibdata1' is of a different size 0 pages than specified"),
        (MLFLOW, "[Errno 98] error while attempting to bind on address ('127.0.0.1', 5000): in use"),
        (MAVEN, "no network"),
        (STREAMLIT, "Port 8501 is not available"),
        ('{"event": "stopping", "level": "info"}\n', ""),
        ("", ""),
    ],
)
def test_the_reason_is_the_programs_own_error(output: str, reason: str) -> None:
    """Each kind of program has its own form; the reason is one line of it."""
    assert reason_of(output) == reason


def test_a_service_that_only_logged_ends_with_its_last_error() -> None:
    """A line that is not complete, as the last one may be, is skipped."""
    log = """{"event": "a", "level": "error"}\n{"event": "b", "reason": "disk full", "level": "error"}\n{"event": "c"""
    assert reason_of(log) == last_logged_error(log) == "b: disk full"
    assert last_logged_error(SERVICE) == "training failed: KeyError: 'bed'"
    assert last_logged_error(KAFKA) == ""
