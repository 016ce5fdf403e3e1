"""What is refused is kept within bounds."""

import pytest

from support.serving import NOW, Gate
from veleta_inference.refusals import KEPT_BYTES, PER_SECOND, Refusal, Refusals


def refusal(**changes: object) -> Refusal:
    usual = {"path": "/predict", "http_status": 422, "reason": "bed must not be null", "body": b"{}"}
    return Refusal("id", None, NOW, **{**usual, **changes})  # type: ignore[arg-type]  # of the types above


@pytest.mark.failure("F63")
async def test_a_second_has_room_for_so_many() -> None:
    """A client that sends rubbish without pause fills neither disk nor table; the next second has room again."""
    lines, now = Gate(), 7.0
    refusals = Refusals(lines, lambda: now)
    for _ in range(PER_SECOND + 5):
        await refusals.keep(refusal())
    assert len(lines.groups) == PER_SECOND
    now += 1
    await refusals.keep(refusal())
    assert len(lines.groups) == PER_SECOND + 1


async def test_a_full_journal_is_no_trouble() -> None:
    """The client was refused anyway."""
    lines = Gate()
    lines.full = True
    await Refusals(lines).keep(refusal())
    assert lines.groups == []


async def test_what_is_kept_fits_the_table() -> None:
    """The beginning of the body, the path and the reason, as text whatever their bytes were."""
    lines = Gate()
    long = refusal(body=b"\xff" * 5_000, path="/" + "x" * 300 + "\ud800", reason="y" * 300)
    await Refusals(lines).keep(long)
    ((line,),) = lines.groups
    assert line["body"] == r"\xff" * KEPT_BYTES
    assert (len(line["path"]), len(line["reason"])) == (255, 255)
