"""How far each group came, on disk: a cursor that moved stays moved."""

from pathlib import Path

import orjson

from veleta.errors import Stop
from veleta.files import write_synced


class Cursors:
    """The next batch of each asker. Not thread-safe; each change is on the disk when its call returns."""

    def __init__(self, path: Path) -> None:
        """Raises Stop when the file is there and cannot be read."""
        self._path = path
        try:
            self._next: dict[str, int] = orjson.loads(path.read_bytes()) if path.exists() else {}
        except (OSError, orjson.JSONDecodeError) as error:
            raise Stop(f"cannot read the cursors in {path}: {error}") from error

    def advance(self, name: str, batches: int) -> int | None:
        """The number of the batch that is due, and move on; None at the end of the `batches` there are."""
        due = self._next.get(name, 0)
        if due >= batches:
            return None
        self._keep(name, due + 1)
        return due

    def restart(self, name: str) -> None:
        """Batch 0 is due again."""
        self._keep(name, 0)

    def _keep(self, name: str, due: int) -> None:
        moved = {**self._next, name: due}
        write_synced(self._path, orjson.dumps(moved))
        self._next = moved
