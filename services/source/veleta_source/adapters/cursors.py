"""The cursors on disk: the number of the next batch, by name."""

from pathlib import Path

import orjson

from veleta.errors import Stop
from veleta.files import write_synced


class Cursors:
    """`handlers.Cursors` in one file."""

    def __init__(self, path: Path) -> None:
        """Raises Stop if the file exists and cannot be read."""
        self._path = path
        try:
            self._next: dict[str, int] = orjson.loads(path.read_bytes()) if path.exists() else {}
        except (OSError, orjson.JSONDecodeError) as error:
            raise Stop(f"cannot read the cursors in {path}: {error}") from error

    def advance(self, name: str, batches: int) -> int | None:
        number = self._next.get(name, 0)
        if number >= batches:
            return None
        self._save(name, number + 1)
        return number

    def restart(self, name: str) -> None:
        self._save(name, 0)

    def _save(self, name: str, number: int) -> None:
        cursors = {**self._next, name: number}
        write_synced(self._path, orjson.dumps(cursors))
        self._next = cursors
