"""The cache of cleaned batches: a file for each, the oldest used first to go."""

import os
import tempfile
from collections.abc import Sequence
from contextlib import suppress
from hashlib import blake2b
from pathlib import Path
from typing import Self

import orjson
import pyarrow as pa
import structlog

from veleta_trainer.domain.clean_rows import CleanBatch

DIGEST_BYTES = 32
OPTIONS = pa.ipc.IpcWriteOptions(compression="lz4")
COUNTS = b"veleta"
"""The metadata of a table with the numbers of rows, as JSON."""
log = structlog.get_logger()


class BatchFiles:
    """`BatchCache` in a folder, for any number of processes.

    A file has the BLAKE2 digest of its content and an Arrow stream. It gets its name when it is complete.
    """

    def __init__(self, folder: Path, max_bytes: int) -> None:
        """The folder has at most `max_bytes` after each `store`."""
        self._folder = folder
        self._max_bytes = max_bytes

    @classmethod
    def of_arguments(cls, arguments: Sequence[str]) -> Self:
        """The cache whose `arguments` a child process got."""
        folder, max_bytes = arguments
        return cls(Path(folder), int(max_bytes))

    @property
    def arguments(self) -> tuple[str, str]:
        """The arguments for a child process that uses the cache too: the folder and its bound in bytes."""
        return str(self._folder), str(self._max_bytes)

    def load(self, key: str) -> CleanBatch | None:
        path = self._folder / key
        try:
            content = path.read_bytes()
            os.utime(path)
        except OSError:
            return None
        digest, stream = content[:DIGEST_BYTES], memoryview(content)[DIGEST_BYTES:]
        if _digest(stream) != digest:
            log.warning("a cached batch is damaged; it is read from Kafka", file=str(path))
            return None
        table = pa.ipc.open_stream(stream).read_all()
        return CleanBatch(table, **orjson.loads(table.schema.metadata[COUNTS]))

    def store(self, key: str, batch: CleanBatch) -> None:
        counts = orjson.dumps({"received": batch.received, "rejected": dict(batch.rejected)})
        table, sink = batch.table.replace_schema_metadata({COUNTS: counts}), pa.BufferOutputStream()
        with pa.ipc.new_stream(sink, table.schema, options=OPTIONS) as writer:
            writer.write_table(table)
        stream = memoryview(sink.getvalue())
        if stream.nbytes + DIGEST_BYTES > self._max_bytes:
            return
        try:
            self._write(key, _digest(stream), stream)
            self._delete_oldest()
        except OSError as error:
            log.warning("a batch cannot be cached", reason=str(error))

    def _write(self, key: str, *parts: bytes | memoryview) -> None:
        self._folder.mkdir(parents=True, exist_ok=True)
        handle, temporary = tempfile.mkstemp(dir=self._folder)
        try:
            with os.fdopen(handle, "wb") as file:
                file.writelines(parts)
            Path(temporary).replace(self._folder / key)
        except OSError:
            Path(temporary).unlink(missing_ok=True)
            raise

    def _delete_oldest(self) -> None:
        """Delete what is beyond the bound, also what a killed process left. Another process may delete the same."""
        found = list[tuple[float, int, str]]()
        with os.scandir(self._folder) as entries:
            for entry in entries:
                with suppress(FileNotFoundError):
                    found.append(((stat := entry.stat()).st_mtime, stat.st_size, entry.path))
        total = sum(size for _, size, _ in found)
        for _, size, path in sorted(found):
            if total <= self._max_bytes:
                break
            Path(path).unlink(missing_ok=True)
            total -= size


def _digest(content: memoryview) -> bytes:
    return blake2b(content, digest_size=DIGEST_BYTES).digest()
