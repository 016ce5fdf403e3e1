"""How far each group came, on disk: a cursor that moved stays moved."""

from pathlib import Path

import orjson

from veleta.errors import Stop
from veleta.files import write_synced


class Cursors:
    """`handlers.Cursors` in one file."""

    def __init__(self, path: Path) -> None:
        """Raises Stop when the file is there and cannot be read."""
        self._path = path
        try:
            self._next: dict[str, int] = orjson.loads(path.read_bytes()) if path.exists() else {}
        except (OSError, orjson.JSONDecodeError) as error:
            raise Stop(f"cannot read the cursors in {path}: {error}") from error

    def advance(self, name: str, batches: int) -> int | None:
        """See `handlers.Cursors.advance`."""
        due = self._next.get(name, 0)
        if due >= batches:
            return None
        self._keep(name, due + 1)
        return due

    def restart(self, name: str) -> None:
        """See `handlers.Cursors.restart`."""
        self._keep(name, 0)

    def _keep(self, name: str, due: int) -> None:
        moved = {**self._next, name: due}
        write_synced(self._path, orjson.dumps(moved))
        self._next = moved
