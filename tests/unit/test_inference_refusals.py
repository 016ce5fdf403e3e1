"""What is refused is kept within bounds."""

import json
from collections.abc import Sequence
from datetime import UTC, datetime

from veleta.errors import Retry
from veleta_inference.refusals import KEPT_BYTES, PER_SECOND, Refusal, Refusals

NOW = datetime(2026, 1, 2, tzinfo=UTC)


class Lines:
    """A journal in memory, or a full one."""

    def __init__(self) -> None:
        self.kept: list[bytes] = []
        self.full = False

    async def keep(self, lines: Sequence[bytes]) -> None:
        if self.full:
            raise Retry("journal", "full")
        self.kept += lines

    def read(self) -> list[bytes]:
        raise NotImplementedError

    def forget(self, lines: Sequence[bytes]) -> None:
        raise NotImplementedError

    def check(self) -> None:
        raise NotImplementedError

    def close(self) -> None:
        raise NotImplementedError


def refusal(**changes: object) -> Refusal:
    usual = {"path": "/predict", "http_status": 422, "reason": "bed must not be null", "body": b"{}"}
    return Refusal("id", None, NOW, **{**usual, **changes})  # type: ignore[arg-type]  # of the types above


async def test_a_second_has_room_for_so_many() -> None:
    """A client that sends rubbish without pause fills neither disk nor table; the next second has room again."""
    lines, now = Lines(), 7.0
    refusals = Refusals(lines, lambda: now)
    for _ in range(PER_SECOND + 5):
        await refusals.keep(refusal())
    assert len(lines.kept) == PER_SECOND
    now += 1
    await refusals.keep(refusal())
    assert len(lines.kept) == PER_SECOND + 1


async def test_a_full_journal_is_no_trouble() -> None:
    """The client was refused anyway."""
    lines = Lines()
    lines.full = True
    await Refusals(lines).keep(refusal())
    assert lines.kept == []


async def test_what_is_kept_fits_the_table() -> None:
    """The beginning of the body, the path and the reason, as text whatever their bytes were."""
    lines = Lines()
    long = refusal(body=b"\xff" * 5_000, path="/" + "x" * 300 + "\ud800", reason="y" * 300)
    await Refusals(lines).keep(long)
    (line,) = map(json.loads, lines.kept)
    assert line["body"] == r"\xff" * KEPT_BYTES
    assert (len(line["path"]), len(line["reason"])) == (255, 255)
