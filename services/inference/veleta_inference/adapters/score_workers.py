"""Child processes that score the chunks of a file, each with the whole model."""

import pickle
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from queue import SimpleQueue
from typing import IO, Self

import pyarrow as pa

from veleta.errors import Stop
from veleta_inference.adapters.input_chunks import Chunk
from veleta_inference.domain.file_rows import Layout
from veleta_inference.domain.row_scorer import ModelSnapshot


@dataclass(frozen=True)
class ScoringJob:
    """What all chunks of a file have in common. `model` is the CatBoost file, and `added` has the added columns."""

    snapshot: ModelSnapshot
    model: Path
    layout: Layout
    added: pa.Schema
    out: Path
    strict: bool


class ScoreWorkers:
    """So many child processes, `python -m veleta_inference.score_worker`. They end when this process ends."""

    def __init__(self, job: ScoringJob, count: int, lock: int) -> None:
        """They have the `lock` of the folder open, so that it is held until the last one has ended."""
        command = [sys.executable, "-m", "veleta_inference.score_worker"]
        self._children = [
            # In a session of its own, it gets no Ctrl-C.
            subprocess.Popen(
                command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, pass_fds=[lock], start_new_session=True
            )
            for _ in range(count)
        ]
        self._free = SimpleQueue[subprocess.Popen[bytes]]()
        self._threads = ThreadPoolExecutor(count)
        self._pending = set[Future[Chunk]]()
        self._limit = count + 1
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

    def score(self, chunk: Chunk) -> Iterator[Chunk]:
        """Score one more chunk. Returns those that are complete by now, after one of many was.

        Raises:
            Stop: a child ended.
        """
        self._pending.add(self._threads.submit(self._score, chunk))
        while len(self._pending) > self._limit:
            yield from self._wait()

    def rest(self) -> Iterator[Chunk]:
        """The chunks that are not complete yet, as soon as they are. Raises Stop."""
        while self._pending:
            yield from self._wait()

    def _wait(self) -> list[Chunk]:
        done, self._pending = wait(self._pending, return_when=FIRST_COMPLETED)
        return [each.result() for each in done]

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
