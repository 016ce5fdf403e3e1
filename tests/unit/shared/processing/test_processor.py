"""How one record is processed, on in-memory parts."""

import asyncio
from dataclasses import replace

import pytest
import structlog

from support.consumer_service import IN, OUT, ConsumerService
from support.records import NOON, message, missed
from veleta.errors import Reject, Retry, StateLost, Stop
from veleta.events.envelope import ADDRESSEE, encode
from veleta.processing.dead_letters import DEAD_LETTERS, MAX_CONSECUTIVE
from veleta.processing.processor import EVENTS_HANDLED, MAX_ATTEMPTS, RecordProcessor


def fail(service: ConsumerService, method: str, errors: list[Exception]) -> None:
    """Let the handler raise these errors for batch 1."""
    {"prepare": service.handler.prepare_errors, "apply": service.handler.apply_errors}[method][1] = errors


@pytest.mark.failure("F32")
async def test_an_event_that_is_delivered_twice_takes_effect_once(service: ConsumerService) -> None:
    """The checkpoint is saved with the effect: a record below it is skipped before anything is prepared."""
    service.publish(1)
    await service.process_all()
    await service.process_all()
    assert (service.handler.prepared, service.handler.applied, service.published()) == ([1], [1], ["1"])
    assert await service.checkpoint() == 1


@pytest.mark.failure("F32")
async def test_two_concurrent_deliveries_take_effect_once(service: ConsumerService) -> None:
    """The second transaction finds the checkpoint moved."""
    service.publish(1)
    await asyncio.gather(service.process_all(), service.process_all())
    assert (service.handler.applied, service.published()) == ([1], ["1"])


async def test_events_of_other_types_are_skipped(service: ConsumerService) -> None:
    """They move the checkpoint and have no other effect."""
    service.publish_unhandled()
    await service.process_all()
    assert (service.handler.prepared, service.log.topics.get(OUT), service.dead_letters()) == ([], None, [])
    assert await service.checkpoint() == 1


@pytest.mark.failure("F92")
async def test_a_resent_record_for_another_service_is_skipped(service: ConsumerService) -> None:
    """Even one that cannot be decoded; a record for this service is handled."""
    service.log.publish([message(IN, headers=[(ADDRESSEE, b"drift")])])
    resent = encode(IN, missed("d", 1))
    service.log.publish([message(IN, resent.key, resent.value, (*resent.headers, (ADDRESSEE, b"loader")))])
    await service.process_all()
    assert service.handler.applied == [1]
    assert service.dead_letters() == []
    assert await service.checkpoint() == 2


def broken(kind: type[Exception] = KeyError) -> list[Exception]:
    """An unexpected error at each attempt."""
    return [kind("x") for _ in range(MAX_ATTEMPTS)]


async def test_a_rejected_event_is_dead_lettered(service: ConsumerService) -> None:
    """With the record and the reason, which are counted. The handler records it, and the next record is processed."""
    service.publish(1, 2)
    count = DEAD_LETTERS.labels("too short")._value
    before = count.get()
    fail(service, "prepare", [Reject("too short", "3 rows")])
    await service.process_all()
    assert count.get() == before + 1
    assert (service.handler.dead_lettered, service.handler.applied) == ([(1, "too short: 3 rows")], [2])
    assert service.published() == ["refused 1", "2"]
    assert await service.checkpoint() == 2
    (letter,) = service.dead_letters()
    (record, _) = service.log.topics[IN]
    assert (letter.service, letter.reason, letter.error) == ("loader", "too short", "too short: 3 rows")
    assert (letter.topic, letter.partition, letter.offset, letter.first_key) == (IN, 0, 0, "d")
    assert letter.value == record.value.decode()
    assert letter.headers == {name: value.decode() for name, value in record.headers}


@pytest.mark.failure("F11", "F34")
async def test_a_record_that_cannot_be_decoded_is_dead_lettered(service: ConsumerService) -> None:
    """The handler is not called. Bytes that are not text are escaped."""
    service.log.publish([message(IN, value=b"\xff\x00", headers=[("ce_id", b"\xfe")])])
    await service.process_all()
    (letter,) = service.dead_letters()
    assert (letter.reason, letter.value, letter.headers) == ("a header is missing", "\\xff\x00", {"ce_id": "\\xfe"})
    assert (service.handler.prepared, service.handler.dead_lettered) == ([], [])
    assert await service.checkpoint() == 1


async def test_an_event_that_is_rejected_by_apply_has_no_effect(service: ConsumerService) -> None:
    """The transaction is rolled back before the dead letter is stored."""
    service.publish(1)
    fail(service, "apply", [Reject("too late")])
    await service.process_all()
    assert (service.handler.applied, service.published()) == ([], ["refused 1"])
    assert [letter.reason for letter in service.dead_letters()] == ["too late"]


async def test_an_unexpected_error_is_retried(service: ConsumerService) -> None:
    """Up to MAX_ATTEMPTS attempts; the one that succeeds takes effect."""
    service.publish(1)
    fail(service, "prepare", [ValueError("odd") for _ in range(MAX_ATTEMPTS - 1)])
    await service.process_all()
    assert (service.handler.prepared, service.handler.applied, service.dead_letters()) == ([1] * MAX_ATTEMPTS, [1], [])


@pytest.mark.failure("F90")
@pytest.mark.parametrize("method", ["prepare", "apply"])
async def test_a_persistent_unexpected_error_is_dead_lettered(service: ConsumerService, method: str) -> None:
    """After MAX_ATTEMPTS attempts. The reason is the class of the error, and the next record is processed."""
    service.publish(1, 2)
    fail(service, method, [ValueError("odd") for _ in range(MAX_ATTEMPTS)])
    await service.process_all()
    assert service.handler.prepared == [1] * MAX_ATTEMPTS + [2]
    assert [(letter.reason, letter.error) for letter in service.dead_letters()] == [("ValueError", "odd")]
    assert (service.handler.dead_lettered, service.handler.applied) == ([(1, "odd")], [2])


@pytest.mark.failure("F94")
@pytest.mark.parametrize("method", ["prepare", "apply"])
async def test_an_unavailable_dependency_is_retried_until_it_is_available(
    service: ConsumerService, method: str
) -> None:
    """Retries are not attempts: there is no limit. /readyz names the dependency, and the event takes effect."""
    service.publish(1)
    fail(service, method, [Retry("mysql", "gone") for _ in range(MAX_ATTEMPTS + 2)])
    await service.process_all()
    assert service.health.sleeps == [{"mysql": "mysql: gone"}] * (MAX_ATTEMPTS + 2)
    assert (service.handler.applied, service.dead_letters(), service.health.unavailable) == ([1], [], {})


async def test_after_each_record_the_service_may_do_more(service: ConsumerService) -> None:
    """When the record's events are published, and again until it succeeds. The record is not processed again."""
    seen, errors = list[list[str]](), [Retry("mysql", "gone")]

    async def after_record() -> None:
        seen.append(service.published())
        if errors:
            raise errors.pop()

    service.processor = RecordProcessor(
        service.handler, service.transactions, service.publisher, service.health, lambda: NOON, "d", after_record
    )
    service.publish(1, 2)
    await service.process_all()
    assert seen == [["1"], ["1"], ["1", "2"]]
    assert (service.handler.applied, service.health.unavailable) == ([1, 2], {})


async def test_a_service_that_cannot_go_on_waits_until_it_is_stopped(service: ConsumerService) -> None:
    """/readyz shows why. The record is not skipped, and its log lines have its event."""
    service.publish(*range(1, MAX_CONSECUTIVE + 2))
    service.handler.prepare_errors = {n: broken() for n in range(1, MAX_CONSECUTIVE + 2)}
    *first, last = service.log.topics[IN]
    for record in first:
        assert await service.processor.process_or_stop_consuming(record) is True
    service.health.on_stop_consuming = service.health.stopping.set
    assert await service.processor.process_or_stop_consuming(last) is False
    assert service.health.stop_reason == "3 consecutive dead letters for one reason: KeyError"
    assert await service.checkpoint() == MAX_CONSECUTIVE


async def test_lost_state_is_not_an_error_of_the_record(service: ConsumerService) -> None:
    """The service restores its tables, and then processes the record."""
    service.publish(1, 2)
    with pytest.raises(StateLost):
        await service.processor.process_or_stop_consuming(service.log.topics[IN][1])
    assert service.dead_letters() == []
    fail(service, "apply", [StateLost("a table is empty")])
    with pytest.raises(StateLost, match="a table is empty"):
        await service.processor.process_or_stop_consuming(service.log.topics[IN][0])
    assert service.dead_letters() == []


async def test_the_attempts_at_a_record_have_growing_pauses(
    service: ConsumerService, monkeypatch: pytest.MonkeyPatch
) -> None:
    """None follows the last attempt."""
    pauses = list[float]()

    async def sleep(seconds: float) -> bool:
        pauses.append(seconds)
        return True

    monkeypatch.setattr(service.health, "sleep", sleep)
    service.publish(1)
    fail(service, "prepare", [ValueError("odd") for _ in range(MAX_ATTEMPTS)])
    await service.process_all()
    assert pauses == [0.1, 0.2]


async def test_handled_events_are_counted(service: ConsumerService) -> None:
    """By type, and only those that took effect."""
    count = EVENTS_HANDLED.labels("batch.missed")._value
    before = count.get()
    service.publish(1, 2)
    service.publish_unhandled()
    fail(service, "prepare", [Reject("bad")])
    await service.process_all()
    await service.process_all()
    assert count.get() == before + 1


async def test_the_log_lines_of_a_record_have_its_event_and_its_trace(
    service: ConsumerService, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So that one can follow an event through all services. A record without headers has neither."""
    contexts = list[dict[str, str]]()

    async def publish_pending() -> None:
        contexts.append(structlog.contextvars.get_contextvars())

    monkeypatch.setattr(service.publisher, "publish_pending", publish_pending)
    service.log.publish([encode(IN, replace(missed("d", 1), trace=f"00-{'a' * 32}-{'b' * 16}-01")), message(IN)])
    await service.process_all()
    assert contexts == [{"event_id": "d/1/1/missed", "trace_id": "a" * 32}, {"event_id": "?", "trace_id": ""}]
    assert structlog.contextvars.get_contextvars() == {}


async def test_a_stopping_service_leaves_the_record_for_the_next_start(service: ConsumerService) -> None:
    """Retries end when the service stops; neither checkpoint nor effect is stored."""
    service.publish(1)
    fail(service, "prepare", [Retry("mysql", "gone")])
    service.health.stopping.set()
    with pytest.raises(asyncio.CancelledError):
        await service.process_all()
    assert (service.handler.applied, await service.checkpoint()) == ([], 0)


@pytest.mark.failure("F35")
async def test_three_consecutive_unexpected_errors_stop_the_service(service: ConsumerService) -> None:
    """Then the fault is not in the records. The fourth record is not processed."""
    numbers = list(range(1, MAX_CONSECUTIVE + 2))
    service.publish(*numbers)
    service.handler.prepare_errors = {number: broken() for number in numbers}
    with pytest.raises(Stop, match="3 consecutive dead letters for one reason: KeyError"):
        await service.process_all()
    assert len(service.dead_letters()) == MAX_CONSECUTIVE
    assert await service.checkpoint() == MAX_CONSECUTIVE


@pytest.mark.failure("F360")
async def test_rejected_records_never_stop_a_service(service: ConsumerService) -> None:
    """However many come one after the other: each is one dead letter."""
    service.publish(*range(1, 12))
    service.handler.prepare_errors = {n: [Reject("bad")] for n in range(1, 11)}
    await service.process_all()
    assert (len(service.dead_letters()), service.handler.applied) == (10, [11])


async def test_a_processed_event_resets_the_count_of_dead_letters(service: ConsumerService) -> None:
    """Single bad records never stop a service."""
    service.publish(*range(1, 13))
    service.handler.prepare_errors = {n: broken() for n in range(1, 13) if n % 4}
    await service.process_all()
    assert (len(service.dead_letters()), service.handler.applied) == (9, [4, 8, 12])


async def test_another_reason_resets_the_count_of_dead_letters(service: ConsumerService) -> None:
    """Different faults of many records are faults of the records."""
    service.publish(*range(1, 11))
    service.handler.prepare_errors = {n: broken(KeyError if n % 3 else ValueError) for n in range(1, 11)}
    await service.process_all()
    assert len(service.dead_letters()) == 10


async def test_skipped_records_do_not_reset_the_count_of_dead_letters(service: ConsumerService) -> None:
    """They do not show that the service works."""
    service.handler.prepare_errors = {number: broken() for number in range(1, 5)}
    for number in range(1, 5):
        service.publish(number)
        service.publish_unhandled(f"t{number}")
    with pytest.raises(Stop):
        await service.process_all()


async def test_a_dead_letter_is_published_although_the_handler_cannot_record_it(
    service: ConsumerService, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An error of the handler's `on_dead_letter` does not block the next records."""

    def fail_to_record(*_: object) -> None:
        raise RuntimeError("no room for a finding")

    monkeypatch.setattr(service.handler, "on_dead_letter", fail_to_record)
    fail(service, "prepare", [Reject("bad")])
    service.publish(1)
    await service.process_all()
    assert [letter.reason for letter in service.dead_letters()] == ["bad"]
    assert await service.checkpoint() == 1
