"""Scores several chunks of a file at once."""

from abc import ABC, abstractmethod
from collections.abc import Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait

from veleta_inference.adapters.input_chunks import Chunk

NICENESS = 10
"""Of processes on the machine of the run: its services come first."""


class ChunkWorkers(ABC):
    """Workers in other processes that score chunks. Each is waited for by a thread."""

    def __init__(self, threads: int, limit: int) -> None:
        """So many threads, and so many chunks at most that are not complete."""
        self._threads = ThreadPoolExecutor(threads)
        self._pending = set[Future[Chunk]]()
        self._limit = limit

    def score(self, chunk: Chunk) -> Iterator[Chunk]:
        """Score one more chunk. Returns those that are complete by now, after one of many was.

        Raises:
            Stop: a worker ended.
        """
        self._pending.add(self._threads.submit(self._score, chunk))
        while len(self._pending) > self._limit:
            yield from self._wait()

    def rest(self) -> Iterator[Chunk]:
        """The chunks that are not complete yet, as soon as they are. Raises Stop."""
        while self._pending:
            yield from self._wait()

    @abstractmethod
    def _score(self, chunk: Chunk) -> Chunk:
        """Score a chunk, and return it when its files are complete. Raises Stop."""

    def _wait(self) -> list[Chunk]:
        done, self._pending = wait(self._pending, return_when=FIRST_COMPLETED)
        return [each.result() for each in done]
