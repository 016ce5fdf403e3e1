"""`make demo` as a process: it begins, tells, is killed and goes on, and ends without a trace."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from support.demo import Demo
from support.world import eventually, free_base
from veleta.events.catalogue import Poll
from veleta_local import asking, processes
from veleta_local.run import Run


@contextmanager
def at(home: Path) -> Iterator[Path]:
    """A home whose run is over afterwards, whatever happened."""
    try:
        yield home
    finally:
        Run(home, say=lambda _: None).stop()


def test_the_demo_tells_goes_on_and_leaves_nothing(tmp_path: Path) -> None:
    """A batch on demand; kill -9 and a second demo, on a terminal now; another input; SIGTERM, and the data stay."""
    variables = f'{{"poll": "manual", "port_base": "{free_base()}"}}'
    with at(tmp_path / "run") as home:
        first = Demo(home, variables)
        first.says("poller          is ready")
        run = Run(home, say=lambda _: None)
        asking.ask(run.kafka_bootstrap, Poll, "real_estate", "the test")
        for words in ("asks: poll (the test)", "batch 1/0       arrives with", "batch 1/0       taken: ", "stored: "):
            first.says(words)
        assert "\x1b" not in first.said
        assert first.end(signal.SIGKILL) == -signal.SIGKILL
        assert run.alive()

        other = Demo(home, '{"scale": "0.03"}')
        assert other.process.wait(60) == 1
        eventually(lambda: "this folder's run has SCALE=0.02, not 0.03" in other.said, what="the choices are said")
        assert run.alive()

        second = Demo(home, "{}", terminal=True)
        second.says("nothing is being trained")
        second.says("published batch 1/0")
        assert "arrives with" not in second.said  # what happened before is not told again
        assert second.end(signal.SIGTERM) == 0
        assert "everything has ended" in second.said
        assert not processes.of(home)
        assert (home / "mysql").is_dir()
