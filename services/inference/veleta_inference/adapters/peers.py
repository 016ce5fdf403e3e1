"""What the processes that share a port know of each other."""

from pathlib import Path

import aiohttp

from veleta.errors import Retry

ANSWER_SECONDS = 5.0


def socket_of(folder: Path, number: int) -> Path:
    """Where one of the processes answers for itself alone."""
    return folder / f"{number}.sock"


class Siblings:
    """The other processes on this one's port."""

    def __init__(self, folder: Path, number: int, count: int) -> None:
        """Their sockets are in `folder`; this process is `number` of `count`, from 0."""
        self._others = {other: socket_of(folder, other) for other in range(count) if other != number}

    async def check(self) -> None:
        """Whether all of them are ready. Raises Retry, which says who is not and why."""
        for number, socket in self._others.items():
            try:
                waits_for = await _waits_for(socket)
            except (aiohttp.ClientError, TimeoutError) as error:
                raise Retry("workers", f"worker {number} does not answer") from error
            if reasons := [reason for what, reason in waits_for.items() if what != "workers"]:
                raise Retry("workers", f"worker {number}: {'; '.join(reasons)}")


async def _waits_for(socket: Path) -> dict[str, str]:
    timeout = aiohttp.ClientTimeout(ANSWER_SECONDS)
    async with aiohttp.ClientSession(connector=aiohttp.UnixConnector(str(socket)), timeout=timeout) as session:
        answer = await (await session.get("http://worker/readyz")).json()
    waits_for: dict[str, str] = answer["waits_for"]
    return waits_for
