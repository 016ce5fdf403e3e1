"""The child process that logs models: when it starts, when it ends, and what its exit code means."""

import asyncio
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from support.testbed import wait_until
from veleta.errors import Retry
from veleta_trainer.adapters import model_logger
from veleta_trainer.adapters.child_protocol import MODELS, UNAVAILABLE
from veleta_trainer.adapters.model_logger import ModelLogger

Children = Callable[[str], ModelLogger]
LOGGED = {"native": "models:/1", "native_digest": "d", "source": "models:/2"}


@pytest.fixture
def logger_of(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Children:
    """A logger whose child processes run a shell script. Each adds its process id to the file `started` first."""

    def children(script: str) -> ModelLogger:
        child = tmp_path / "child"
        child.write_text(f"#!/bin/sh\necho $$ >> {tmp_path}/started\n{script}\n")
        child.chmod(0o700)
        monkeypatch.setattr(sys, "executable", str(child))
        return ModelLogger("http://127.0.0.1:9")

    return children


def started(folder: Path) -> list[int]:
    """The process ids of the children that were started."""
    path = folder / "started"
    return [int(line) for line in path.read_text().split()] if path.exists() else []


def running(folder: Path) -> list[int]:
    return [pid for pid in started(folder) if psutil.pid_exists(pid)]


def test_the_process_waits_for_the_run(tmp_path: Path, logger_of: Children) -> None:
    """Whoever starts it again gets the one that waits. It reads the folder and the run, and ends."""
    logger = logger_of(f"cat > {tmp_path}/read\necho '{json.dumps(LOGGED)}' > {tmp_path}/{MODELS}")
    logger.start()
    wait_until(lambda: running(tmp_path))
    logger.start()
    assert vars(logger.log(tmp_path, "run")) == LOGGED
    assert json.loads((tmp_path / "read").read_text()) == [str(tmp_path), "run"]
    assert len(started(tmp_path)) == 1
    assert not running(tmp_path)


def test_a_process_that_died_while_it_waited_is_replaced(tmp_path: Path, logger_of: Children) -> None:
    """No attempt of the training is lost."""
    script = f"[ -e {tmp_path}/second ] || exec sleep 60\ncat\necho '{json.dumps(LOGGED)}' > {tmp_path}/{MODELS}"
    logger = logger_of(script)
    logger.start()
    wait_until(lambda: started(tmp_path))
    (tmp_path / "second").touch()
    process = psutil.Process(started(tmp_path)[0])
    process.kill()
    wait_until(lambda: process.status() == psutil.STATUS_ZOMBIE)
    logger.start()
    assert vars(logger.log(tmp_path, "run")) == LOGGED
    assert len(started(tmp_path)) == 2


@pytest.mark.failure("F42")
@pytest.mark.parametrize(
    ("script", "error", "message"),
    [
        (f"echo a warning >&2; echo mlflow: no answer >&2; exit {UNAVAILABLE}", Retry, "mlflow: no answer$"),
        ("exec sleep 30", Retry, "the models are not logged after 0.2 s"),
        ("echo PERMISSION_DENIED >&2; exit 1", RuntimeError, "the models cannot be logged: PERMISSION_DENIED"),
    ],
)
def test_the_exit_code_of_the_child_decides_the_error(
    script: str,
    error: type[Exception],
    message: str,
    tmp_path: Path,
    logger_of: Children,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Models that MLflow cannot store now are logged later. Those that it refuses are fitted again."""
    monkeypatch.setattr(model_logger, "LOGGING_SECONDS", 0.2 if "sleep" in script else 30.0)
    logger = logger_of(script)
    logger.start()
    with pytest.raises(error, match=message):
        logger.log(tmp_path, "run")
    assert not running(tmp_path)


@pytest.mark.failure("F396")
async def test_a_process_that_logs_is_ended_when_the_training_is_cancelled(tmp_path: Path, logger_of: Children) -> None:
    """The call ends at once, and so does the next one without a start."""
    logger = logger_of(f"cat; touch {tmp_path}/logging; exec sleep 60")
    logger.start()
    logging = asyncio.create_task(asyncio.to_thread(logger.log, tmp_path, "run"))
    await asyncio.to_thread(wait_until, (tmp_path / "logging").exists)
    logger.stop()
    with pytest.raises(RuntimeError, match="cannot be logged"):
        await asyncio.wait_for(logging, 1)
    assert not running(tmp_path)
    with pytest.raises(RuntimeError, match="cannot be logged"):
        logger.log(tmp_path, "run")


@pytest.mark.failure("F396")
def test_a_process_that_waits_is_ended_when_the_training_is_cancelled(tmp_path: Path, logger_of: Children) -> None:
    """A stop without a process does nothing."""
    logger = logger_of("exec sleep 60")
    logger.stop()
    logger.start()
    wait_until(lambda: running(tmp_path))
    logger.stop()
    assert not running(tmp_path)


@pytest.mark.failure("F14")
def test_a_process_that_waits_ends_with_the_trainer() -> None:
    """A kill closes the pipe. Nothing is logged, and MLflow, which does not answer here, is not asked."""
    command = [sys.executable, "-m", "veleta_trainer.log_models", "http://127.0.0.1:9"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as child:
        assert child.stdin
        child.stdin.close()
        assert child.wait(60) == 0
