"""Child processes that score the chunks of a file, each with the whole model."""

import pickle
import subprocess
import sys
from contextlib import suppress
from queue import SimpleQueue
from typing import IO, Self

from veleta.errors import Stop
from veleta_inference.adapters.chunk_workers import ChunkWorkers
from veleta_inference.adapters.input_chunks import Chunk
from veleta_inference.adapters.scored_chunks import ScoringJob


class ScoreWorkers(ChunkWorkers):
    """So many child processes, `python -m veleta_inference.score_worker`. They end when this process ends."""

    def __init__(self, job: ScoringJob, count: int, lock: int) -> None:
        """They have the `lock` of the folder open, so that it is held until the last one has ended."""
        super().__init__(count, count + 1)
        command = [sys.executable, "-m", "veleta_inference.score_worker"]
        self._children = [
            # In a session of its own, it gets no Ctrl-C.
            subprocess.Popen(
                command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, pass_fds=[lock], start_new_session=True
            )
            for _ in range(count)
        ]
        self._free = SimpleQueue[subprocess.Popen[bytes]]()
        for child in self._children:
            _send(child, job)
            self._free.put(child)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        """End the children. A chunk that is not complete is scored again by the next job."""
        for child in self._children:
            child.kill()
        self._threads.shutdown(cancel_futures=True)
        for child in self._children:
            child.wait()
            for pipe in (child.stdin, child.stdout):
                _close(pipe)

    def _score(self, chunk: Chunk) -> Chunk:
        child = self._free.get()
        try:
            _send(child, chunk)
            assert child.stdout  # noqa: S101 - a pipe
            if not child.stdout.readline():
                raise Stop(
                    f"a child process ended with {child.wait()}, while it scored the rows from {chunk.first:,} on"
                )
            return chunk
        finally:
            self._free.put(child)  # also one that has ended: another thread may wait for it


def _send(child: subprocess.Popen[bytes], message: object) -> None:
    """If the child has ended, its stdout shows it."""
    assert child.stdin  # noqa: S101 - a pipe
    with suppress(BrokenPipeError):
        pickle.dump(message, child.stdin)
        child.stdin.flush()


def _close(pipe: IO[bytes] | None) -> None:
    """A pipe whose other end has closed keeps what was not sent."""
    if pipe:
        with suppress(BrokenPipeError):
            pipe.close()
