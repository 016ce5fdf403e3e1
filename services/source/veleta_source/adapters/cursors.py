"""The cursors on disk: the epoch and the number of the next batch, by name."""

from dataclasses import dataclass
from pathlib import Path

import orjson
from pydantic import ConfigDict, TypeAdapter

from veleta.errors import Stop
from veleta.files import write_synced
from veleta_source.domain.market import FIRST_EPOCH


@dataclass(frozen=True)
class Cursor:
    """Where a group is: the epoch, and the number of its next batch."""

    __pydantic_config__ = ConfigDict(extra="forbid")
    epoch: int = FIRST_EPOCH
    number: int = 0


_STORED = TypeAdapter(dict[str, Cursor | int])
"""An earlier version stored only the number. It served the rows of epoch 1."""


class Cursors:
    """`handlers.Cursors` in one file."""

    def __init__(self, path: Path) -> None:
        """Raises Stop if the file exists and cannot be read."""
        self._path = path
        try:
            stored = _STORED.validate_json(path.read_bytes()) if path.exists() else {}
        except (OSError, ValueError) as error:
            raise Stop(f"cannot read the cursors in {path}: {error}") from error
        self._cursors = {name: Cursor(number=each) if isinstance(each, int) else each for name, each in stored.items()}

    @property
    def newest_epoch(self) -> int:
        return max((cursor.epoch for cursor in self._cursors.values()), default=FIRST_EPOCH)

    def epoch(self, name: str) -> int:
        return self._cursor(name).epoch

    def advance(self, name: str, batches: int) -> int | None:
        cursor = self._cursor(name)
        if cursor.number >= batches:
            return None
        self._save(name, Cursor(cursor.epoch, cursor.number + 1))
        return cursor.number

    def restart(self, name: str) -> None:
        cursor = self._cursor(name)
        if cursor.number:
            self._save(name, Cursor(cursor.epoch + 1))

    def _cursor(self, name: str) -> Cursor:
        return self._cursors.get(name, Cursor())

    def _save(self, name: str, cursor: Cursor) -> None:
        cursors = {**self._cursors, name: cursor}
        write_synced(self._path, orjson.dumps(cursors))
        self._cursors = cursors
