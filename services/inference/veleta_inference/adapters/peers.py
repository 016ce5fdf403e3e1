"""The readiness of the other workers that share this worker's port."""

from pathlib import Path

import aiohttp

from veleta.errors import Retry

TIMEOUT_SECONDS = 5.0


def worker_socket(folder: Path, number: int) -> Path:
    """The Unix socket of one worker."""
    return folder / f"{number}.sock"


class Peers:
    """The other workers on this worker's port."""

    def __init__(self, folder: Path, number: int, count: int) -> None:
        """The sockets are in `folder`. This worker is `number` of `count`, from 0."""
        self._sockets = {peer: worker_socket(folder, peer) for peer in range(count) if peer != number}

    async def check(self) -> None:
        """Check that all are ready. Raises Retry with the worker that is not, and the reasons."""
        for number, socket in self._sockets.items():
            try:
                unavailable = await _unavailable(socket)
            except (aiohttp.ClientError, TimeoutError) as error:
                raise Retry("workers", f"worker {number} does not respond") from error
            # A worker that only waits for its peers is ready. Otherwise they would wait for each other.
            if reasons := [reason for dependency, reason in unavailable.items() if dependency != "workers"]:
                raise Retry("workers", f"worker {number}: {'; '.join(reasons)}")


async def _unavailable(socket: Path) -> dict[str, str]:
    timeout = aiohttp.ClientTimeout(TIMEOUT_SECONDS)
    async with aiohttp.ClientSession(connector=aiohttp.UnixConnector(str(socket)), timeout=timeout) as session:
        body = await (await session.get("http://localhost/readyz")).json()
    unavailable: dict[str, str] = body["waits_for"]
    return unavailable
