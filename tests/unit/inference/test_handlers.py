"""How requests are answered: those that come together are predicted and kept together, and each is told the truth."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator

import pytest

from support.serving import DATASET, NOW, Gate, Serving
from veleta.dataset import Values
from veleta.errors import Retry
from veleta.service.health import ServiceHealth
from veleta_inference.handlers import OF_REQUEST, ROWS_AT_ONCE, Answer, Asked, NotServed, Predicting

LIMIT = 4


class Desk:
    """Predicting at work."""

    def __init__(self) -> None:
        self.serving = Serving()
        self.journal = Gate()
        self.health = ServiceHealth("inference")
        self.recent: deque[Values] = deque(maxlen=2)
        self.predicting = Predicting(DATASET, self.serving, self.journal, self.health, lambda: NOW, LIMIT, self.recent)

    def ask(self, name: str, *beds: int, version: int | None = None) -> asyncio.Task[Answer]:
        rows = [{**DATASET.convert(DATASET.example)[0], "bed": float(bed)} for bed in beds]
        asked = Asked(name, rows, f"their {name}", NOW, version)
        return asyncio.create_task(self.predicting.answer(asked))

    @property
    def kept(self) -> list[str]:
        return [line["request_id"] for group in self.journal.groups for line in group]


@pytest.fixture
async def desk() -> AsyncIterator[Desk]:
    made = Desk()
    working = asyncio.create_task(made.predicting.work())
    yield made
    working.cancel()


@pytest.mark.failure("F21")
async def test_a_price_leaves_when_its_request_is_kept(desk: Desk) -> None:
    """Not before; and the line says all that the table is to know."""
    desk.journal.gate.clear()
    asking = desk.ask("a", 1, 2)
    await asyncio.sleep(0.01)
    assert not asking.done()
    desk.journal.gate.set()
    answer = await asking
    assert (answer.request_id, answer.version) == ("a", 7)
    assert answer.prices == pytest.approx([7.389056, 20.085537])
    ((line,),) = desk.journal.groups
    items = [
        {**DATASET.example, "bed": bed, "prediction": price} for bed, price in zip((1, 2), answer.prices, strict=True)
    ]
    assert line.pop("items") == items
    assert list(line) == list(OF_REQUEST)
    assert list(line.values()) == [
        "a",
        "their a",
        "2026-01-02T03:04:05.678901",
        "2026-01-02T03:04:05.678901",
        7,
        0,
        200,
    ]


async def test_what_comes_together_is_answered_together(desk: Desk) -> None:
    """One call of the model, one write, each its own prices."""
    desk.journal.gate.clear()
    first = desk.ask("a", 0)
    await asyncio.sleep(0.01)
    others = [desk.ask("b", 1), desk.ask("c", 2, 3), desk.ask("d", 4)]
    await asyncio.sleep(0.01)
    desk.journal.gate.set()
    answers = await asyncio.gather(first, *others)
    assert desk.serving.model.asked == [1, 4]
    assert [len(group) for group in desk.journal.groups] == [1, 3]
    assert [len(answer.prices) for answer in answers] == [1, 1, 2, 1]
    assert [answer.prices[0] for answer in answers] == pytest.approx([2.718282, 7.389056, 20.085537, 148.413159])


async def test_many_rows_are_predicted_in_a_thread(desk: Desk) -> None:
    """With the same answer."""
    answer = await desk.ask("a", *([1] * (ROWS_AT_ONCE + 1)))
    assert answer.prices == pytest.approx([7.389056] * (ROWS_AT_ONCE + 1))


@pytest.mark.failure("F54")
async def test_too_many_under_way_are_told_at_once(desk: Desk) -> None:
    """No pile-up: beyond the limit the client is asked to come back, and nothing of it is kept."""
    desk.journal.gate.clear()
    asking = [desk.ask("a", 1)]
    await asyncio.sleep(0.01)
    asking += [desk.ask(name, 1) for name in "bcd"]
    await asyncio.sleep(0.01)
    with pytest.raises(Retry, match="4 requests wait to be answered"):
        await desk.ask("e", 1)
    desk.journal.gate.set()
    await asyncio.gather(*asking)
    await desk.ask("f", 1)
    assert desk.kept == ["a", "b", "c", "d", "f"]


@pytest.mark.failure("F55")
async def test_a_request_that_breaks_the_model_takes_no_other_with_it(desk: Desk) -> None:
    """Each of its group is tried alone; only the one is told of an error of ours, and it is not kept."""
    desk.journal.gate.clear()
    first = desk.ask("a", 0)
    await asyncio.sleep(0.01)
    asking = [desk.ask(name, beds) for name, beds in (("b", 1), ("bad", 13), ("c", 2))]
    await asyncio.sleep(0.01)
    desk.journal.gate.set()
    await first
    results = await asyncio.gather(*asking, return_exceptions=True)
    assert [type(result) for result in results] == [Answer, ValueError, Answer]
    assert desk.kept == ["a", "b", "c"]


async def test_without_the_journal_no_price_is_sent(desk: Desk) -> None:
    """The client is told, /readyz too; when it can be written again, so is the service."""
    desk.journal.full = True
    with pytest.raises(Retry, match="journal: full"):
        await desk.ask("a", 1)
    assert desk.health.unavailable["journal"] == "journal: full"
    desk.journal.full = False
    await desk.ask("b", 1)
    assert desk.kept == ["b"]
    assert "journal" not in desk.health.unavailable


async def test_without_a_model_the_client_is_told(desk: Desk) -> None:
    """And nothing is kept."""
    desk.serving.away = True
    with pytest.raises(Retry, match="no version is promoted yet"):
        await desk.ask("a", 1)
    assert desk.journal.groups == []


async def test_who_asks_for_another_version_is_told(desk: Desk) -> None:
    """By a group whose others are answered; nothing of it is kept."""
    desk.journal.gate.clear()
    first = desk.ask("a", 1, version=7)
    await asyncio.sleep(0.01)
    asking = [desk.ask("b", 1, version=6), desk.ask("c", 1, version=7), desk.ask("d", 1)]
    await asyncio.sleep(0.01)
    desk.journal.gate.set()
    results = await asyncio.gather(first, *asking, return_exceptions=True)
    assert [type(result) for result in results] == [Answer, NotServed, Answer, Answer]
    assert desk.kept == ["a", "c", "d"]
    with pytest.raises(NotServed, match="version 7 is served"):
        await desk.ask("e", 1, version=8)


async def test_a_row_of_each_group_is_remembered(desk: Desk) -> None:
    """For the trial of the next model."""
    for name, beds in (("a", (1, 2)), ("b", (3,)), ("c", (4, 5))):
        await desk.ask(name, *beds)
    assert [row["bed"] for row in desk.recent] == [3.0, 4.0]


async def test_a_client_that_goes_away_is_kept_all_the_same(desk: Desk) -> None:
    """Answered or not, the request was asked; the others of its group are answered."""
    desk.journal.gate.clear()
    first = desk.ask("a", 1)
    await asyncio.sleep(0.01)
    gone, stays = desk.ask("b", 1), desk.ask("c", 1)
    await asyncio.sleep(0.01)
    gone.cancel()
    desk.journal.gate.set()
    await asyncio.gather(first, stays)
    assert desk.kept == ["a", "b", "c"]
