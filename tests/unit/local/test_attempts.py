"""Starts and ends of parts in supervisord's log, and what each process printed."""

from pathlib import Path

import pytest

from veleta_local.attempts import Attempt, Attempts, output_of, parse_attempts
from veleta_local.deployment import Deployment
from veleta_local.processes import start_mark

OLD = """\
2026-11-26 09:00:00,001 INFO supervisord started with pid 1
2026-11-26 09:00:00,002 INFO spawned: 'loader' with pid 2
2026-11-26 09:00:02,002 WARN exited: loader (exit status 1; not expected)
"""
LOG = """\
2026-11-27 10:00:00,001 INFO supervisord started with pid 10
2026-11-27 10:00:00,002 INFO spawned: 'loader' with pid 11
2026-11-27 10:00:00,002 INFO spawned: 'drift' with pid 12
2026-11-27 10:00:01,100 INFO success: drift entered RUNNING state, process has stayed up for > than 1 seconds
2026-11-27 10:00:02,002 WARN exited: loader (exit status 1; not expected)
2026-11-27 10:00:03,002 INFO spawned: 'loader' with pid 13
2026-11-27 10:00:04,002 INFO exited: loader (exit status 0; expected)
2026-11-27 10:00:05,002 INFO spawned: 'loader' with pid 14
2026-11-27 10:00:06,002 WARN exited: drift (terminated by SIGKILL; not expected)
2026-11-27 10:00:07,002 INFO stopped: loader (terminated by SIGTERM)
"""
LOADER = [Attempt(11, "exit status 1", "10:00:02"), Attempt(13, "exit status 0", "10:00:04"), Attempt(14)]


@pytest.fixture
def deployment(tmp_path: Path) -> Deployment:
    deployment = Deployment(tmp_path)
    deployment.folder("logs")
    return deployment


def test_the_attempts_are_those_of_the_last_supervisord() -> None:
    """With their process id and how each ended by itself. A part that was stopped did not."""
    attempts = parse_attempts(OLD + LOG)
    assert attempts == {"loader": LOADER, "drift": [Attempt(12, "terminated by SIGKILL", "10:00:06")]}
    assert parse_attempts("") == {}


def test_only_ends_after_a_position_are_those_of_a_start(deployment: Deployment) -> None:
    """A log that was rotated meanwhile is read from its beginning."""
    attempts, log = Attempts(deployment), deployment.log("supervisord")
    assert (attempts.position, attempts.by_part()) == (0, {})
    log.write_text(OLD)
    position = attempts.position
    log.write_text(OLD + LOG)
    assert attempts.by_part(position)["loader"] == LOADER
    assert attempts.by_part(attempts.position) == {}
    log.write_text("\n".join(LOG.splitlines()[:2]))
    assert attempts.by_part(position)["loader"] == [Attempt(11)]


def test_the_output_of_a_process_is_between_two_marks() -> None:
    """Not that of the next one. The last process with an id counts."""
    log = "\n".join(
        [start_mark("loader", 11), "old", start_mark("loader", 11), "own", start_mark("loader", 13), "next"]
    )
    assert output_of(log, 11) == "own"
    assert output_of(log, 13) == "next"
    assert output_of(f"{log}\nNo module named veleta_local", 1) == "No module named veleta_local"
    assert output_of("", 1) == ""


def test_the_reason_of_an_end_is_the_parts_own_error(deployment: Deployment) -> None:
    """It is not the first line of its next try. A killed process did not say why."""
    attempts, (first, second, third) = Attempts(deployment), LOADER
    texts = [start_mark("loader", 11), "loader: no room", start_mark("loader", 13), "hello", start_mark("loader", 14)]
    deployment.log("loader").write_text("\n".join(texts))
    assert attempts.reason("loader", first) == "loader: no room"
    assert attempts.reason("loader", Attempt(13, "terminated by SIGKILL")) == "terminated by SIGKILL"
    assert attempts.reason("drift", Attempt(12, "exit status 3")) == "exit status 3"
    assert attempts.last_error("loader", [first, second, third]) == "10:00:04 hello"
    assert attempts.last_error("loader", [third]) == attempts.last_error("loader", []) == ""
    with deployment.log("loader").open("a") as log:
        log.write('\n{"event": "handling failed", "level": "error"}\n')
    assert attempts.last_error("loader", [first, second, third]) == "handling failed"
