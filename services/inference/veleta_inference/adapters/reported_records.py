"""Remembers on disk which records have a dead letter: an empty file for each. All workers share the folder."""

from contextlib import suppress
from hashlib import sha256
from pathlib import Path

from veleta.events.envelope import Record


class ReportedRecords:
    """See `veleta_inference.ports.ReportedRecords`."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        folder.mkdir(parents=True, exist_ok=True)

    def __contains__(self, record: Record, /) -> bool:
        return self._file(record).exists()

    def add(self, record: Record, /) -> None:
        with suppress(OSError):  # a second dead letter harms nobody
            self._file(record).touch()

    def _file(self, record: Record) -> Path:
        # With its content: after Kafka's data were deleted, another record has the same offset.
        return self._folder / sha256(repr(record).encode()).hexdigest()
