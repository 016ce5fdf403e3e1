"""`make demo` as a process: it starts, reports, is killed, continues, and ends without a process left."""

import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from support.demo import Demo, DemoInTerminal, command
from support.testbed import free_base, wait_until
from veleta.events.catalogue import Poll
from veleta_local import processes
from veleta_local.run import Run
from veleta_local.send_command import send_command


@contextmanager
def at(home: Path) -> Iterator[Path]:
    """A home whose run is stopped afterwards."""
    try:
        yield home
    finally:
        Run(home, report=lambda _: None).stop()


def test_the_demo_reports_continues_and_leaves_no_process(tmp_path: Path) -> None:
    """A batch by command; kill -9; a second demo with another input is refused; SIGTERM ends it, and the data stay."""
    variables = f'{{"poll": "manual", "port_base": "{free_base()}"}}'
    with at(tmp_path / "run") as home:
        first = Demo(home, variables)
        first.wait_for("poller          ready")
        run = Run(home, report=lambda _: None)
        send_command(run.kafka_operator, Poll, "real_estate", reason="the test")
        for text in ("poll requested by", "batch 1/0       fetched: ", "batch 1/0       published: ", "loaded: "):
            first.wait_for(text)
        assert "\x1b" not in first.output
        assert first.end(signal.SIGKILL) == -signal.SIGKILL
        assert run.alive()

        other = Demo(home, '{"scale": "0.03"}')
        assert other.process.wait(60) == 1
        wait_until(
            lambda: "this folder's run has SCALE=0.02, not 0.03" in other.output, what="the message with the choices"
        )
        assert run.alive()

        Run(home, report=lambda _: None).stop()
        second = DemoInTerminal(home, "{}", 80)
        second.wait_for("no training is running", 120)
        second.wait_for("poller     ready", 120)
        assert b"fetched: " not in second.output  # earlier events are not reported again
        second.process.send_signal(signal.SIGTERM)
        second.wait_for("stopping: ", 60)
        assert second.process.wait(60) == 0
        second.wait_for("all processes have ended")
        assert not processes.of_run(home)
        assert (home / "mysql").is_dir()


@pytest.mark.failure("F220")
def test_a_closed_terminal_and_a_closed_pipe_end_a_real_run(tmp_path: Path) -> None:
    """The terminal is closed while the parts start, then when they are ready. The pipe is closed by head."""
    variables = f'{{"poll": "manual", "port_base": "{free_base()}"}}'
    with at(tmp_path / "run") as home:
        for text in ("kafka is ready", "no training is running", "trainer    ready"):
            window = DemoInTerminal(home, variables, 120)
            window.wait_for(text, 120)
            assert processes.of_run(home)
            window.close()
            wait_until(lambda: not processes.of_run(home), 60, "the run has ended")
        with subprocess.Popen(command(home, variables), stdout=subprocess.PIPE, stderr=subprocess.STDOUT) as process:
            assert process.stdout
            while b"kafka is ready" not in process.stdout.readline():
                assert process.poll() is None
            process.stdout.close()
            assert process.wait(60) == 0
        assert not processes.of_run(home)
