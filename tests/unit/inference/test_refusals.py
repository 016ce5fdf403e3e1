"""Refused requests are stored up to a limit."""

import pytest

from support.memory_inference import NOW, GatedJournal
from veleta_inference.refusals import MAX_BODY_BYTES, MAX_PER_SECOND, Refusal, Refusals


def refusal(**changes: object) -> Refusal:
    usual = {"path": "/predict", "http_status": 422, "reason": "bed must not be null", "body": b"{}"}
    return Refusal("id", None, "ada", "192.0.2.7", NOW, **{**usual, **changes})  # type: ignore[arg-type]  # of the types above


@pytest.mark.failure("F137")
async def test_a_limited_number_is_stored_in_a_second() -> None:
    """So one client can fill neither disk nor table. The next second has a new limit."""
    journal, now = GatedJournal(), 7.0
    refusals = Refusals(journal, lambda: now)
    for _ in range(MAX_PER_SECOND + 5):
        await refusals.store(refusal())
    assert len(journal.groups) == MAX_PER_SECOND
    now += 1
    await refusals.store(refusal())
    assert len(journal.groups) == MAX_PER_SECOND + 1


async def test_a_full_journal_drops_refusals() -> None:
    """Without an error: the client gets its 4xx anyway."""
    journal = GatedJournal()
    journal.full = True
    await Refusals(journal).store(refusal())
    assert journal.groups == []


async def test_a_stored_refusal_fits_the_table() -> None:
    """The beginning of body, path and reason, as text, whatever their bytes are."""
    journal = GatedJournal()
    long = refusal(body=b"\xff" * 5_000, path="/" + "x" * 300 + "\ud800", reason="y" * 300)
    await Refusals(journal).store(long)
    ((line,),) = journal.groups
    assert line["body"] == r"\xff" * MAX_BODY_BYTES
    assert (len(line["path"]), len(line["reason"])) == (255, 255)
