"""State and events are stored together."""

import pytest

from support.trainer import TrainerHarness, request
from support.twins.shared import MemoryOutbox
from veleta.errors import Retry
from veleta.events.envelope import Message


@pytest.mark.failure("F14")
@pytest.mark.parametrize(
    "event_type", ["training.started", "training.merged", "model.registered", "model.promoted", "training.finished"]
)
async def test_a_state_is_only_stored_with_its_event(event_type: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The connection breaks at the event: the whole step is rolled back and repeated."""
    append, failures = MemoryOutbox.append, [Retry("mysql", "the connection broke")]

    def fail_once(outbox: MemoryOutbox, message: Message) -> None:
        if failures and dict(message.headers)["ce_type"] == event_type.encode():
            raise failures.pop()
        append(outbox, message)

    monkeypatch.setattr(MemoryOutbox, "append", fail_once)
    harness = TrainerHarness(50.0)
    for number in range(2):
        await harness.add_request(request(number))
    with pytest.raises(Retry, match="the connection broke"):
        await harness.finish()
    await harness.finish()
    assert harness.types("training") == ["training.merged", "training.started", "training.finished"]
    assert harness.types("models") == ["model.registered", "model.promoted"]
    assert [row["state"] for row in harness.rows.values()] == ["merged", "finished"]
    assert len(harness.promotions) == 1


@pytest.mark.failure("F16")
async def test_a_manual_promotion_is_only_stored_with_its_event(monkeypatch: pytest.MonkeyPatch) -> None:
    """The same holds for the decision that an alias moved by hand implies."""
    harness = TrainerHarness(50.0, 101.0)
    for number in range(2):
        await harness.add_request(request(number))
        await harness.finish()
    harness.registry.set_alias("champion", 2)
    with monkeypatch.context() as patch:
        patch.setattr(MemoryOutbox, "append", _break_connection)
        with pytest.raises(Retry, match="the connection broke"):
            await harness.finish()
    assert [row.decision for row in harness.promotions] == ["promoted", "rejected"]
    await harness.finish()
    assert [row.decision for row in harness.promotions] == ["promoted", "rejected", "outside"]
    assert harness.ids("models")[-1] == "real_estate/outside/3"


def _break_connection(_outbox: MemoryOutbox, _message: Message) -> None:
    raise Retry("mysql", "the connection broke")
