"""`make demo` as a process: it starts, reports, is killed, continues, and ends without a process left."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from support.demo import Demo
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
        send_command(run.kafka_bootstrap, Poll, "real_estate", "the test")
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

        second = Demo(home, "{}", terminal=True)
        second.wait_for("no training is running")
        second.wait_for("published batch 1/0")
        assert "fetched: " not in second.output  # earlier events are not reported again
        assert second.end(signal.SIGTERM) == 0
        assert "all processes have ended" in second.output
        assert not processes.of_run(home)
        assert (home / "mysql").is_dir()
