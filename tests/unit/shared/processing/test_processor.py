"""What happens to a record: every arrow of the picture in `veleta.processing`, on the twins in memory."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest

from support.records import NOON, message, missed, record_of
from veleta.adapters.memory import MemoryCheckpoints, MemoryLog, MemoryOutbox, MemoryTransactions, MemoryUnitOfWork
from veleta.errors import Reject, Retry, Stop
from veleta.events.catalogue import BatchMissed, Payload, RecordDeadlettered, TrainingSkipped
from veleta.events.envelope import ADDRESSEE, Event, Message, Record, decode, encode
from veleta.faults import fault_point
from veleta.ports import Subscription, UnitOfWork
from veleta.processing.consumer import consume
from veleta.processing.dead_letters import MAX_CONSECUTIVE, MAX_KEY_LENGTH, MAX_VALUE_BYTES, DeadLetters
from veleta.processing.outbox import OutboxPublisher
from veleta.processing.processor import MAX_ATTEMPTS, RecordProcessor
from veleta.service.health import ServiceHealth
from veleta.topics import MAX_MESSAGE_BYTES, topic

IN, OUT, DEAD = topic("d", "batches"), "d.out", topic("d", "deadletter")
PLACE = (IN, 0)


class FakeHealth(ServiceHealth):
    """A life that pauses without time passing; it notes what was missing at each pause, and tells that it halted."""

    def __init__(self) -> None:
        super().__init__("loader")
        self.pauses: list[dict[str, str]] = []
        self.on_halt: Callable[[], object] = lambda: None

    def stop_consuming(self, reason: str) -> None:
        super().stop_consuming(reason)
        self.on_halt()

    async def sleep(self, seconds: float) -> bool:
        self.pauses.append(self.unavailable)
        await asyncio.sleep(0)
        return not self.stopping.is_set()


@dataclass
class Handler:
    """Notes the batch numbers that took effect; raises what it is told to, as often as it is told."""

    event_types: tuple[type[Payload], ...] = (BatchMissed,)
    prepared: list[int] = field(default_factory=list)
    effects: list[int] = field(default_factory=list)
    refused: list[tuple[int, str]] = field(default_factory=list)
    faults: dict[int, list[Exception]] = field(default_factory=dict)
    on_effect: Callable[[], object] = lambda: None

    def prepare(self, event: Event) -> Any:
        number = _number(event)
        self.prepared.append(number)
        if faults := self.faults.get(number):
            raise faults.pop(0)
        return number * 10

    def apply(self, event: Event, prepared: Any, uow: UnitOfWork) -> None:
        number = _number(event)
        assert prepared == number * 10
        uow.outbox.append(message(OUT, value=str(number).encode()))
        if faults := self.faults.get(-number):
            raise faults.pop(0)
        self.effects.append(number)
        self.on_effect()

    def on_dead_letter(self, event: Event, error: Exception, uow: UnitOfWork) -> None:
        uow.outbox.append(message(OUT, value=f"refused {_number(event)}".encode()))
        self.refused.append((_number(event), str(error)))


class Killed(BaseException):
    """The process ends here: nothing catches it."""


class FlakyOutbox(MemoryOutbox):
    """Raises what lies in `faults` before it deletes what was published. Copies share the faults."""

    def __init__(self, faults: list[BaseException]) -> None:
        super().__init__()
        self._faults = faults

    def __deepcopy__(self, memo: dict[int, Any]) -> "FlakyOutbox":
        copied = FlakyOutbox(self._faults)
        copied._messages, copied._last_id = dict(self._messages), self._last_id
        return copied

    def delete(self, ids: Sequence[int]) -> None:
        if self._faults:
            raise self._faults.pop(0)
        super().delete(ids)


class FlakyUnitOfWork(MemoryUnitOfWork):
    def __init__(self) -> None:
        super().__init__()
        self.faults: list[BaseException] = []
        self.outbox = FlakyOutbox(self.faults)


class FlakyLog(MemoryLog):
    """Raises what lies in `faults` before it publishes, polls or commits; `on_idle` is called when nothing is left."""

    def __init__(self) -> None:
        super().__init__()
        self.faults: dict[str, list[BaseException]] = {}
        self.subscribed: list[dict[tuple[str, int], int]] = []
        self.followed: list[FlakySubscription] = []
        self.on_idle: Callable[[], object] = lambda: None

    def trip(self, what: str) -> None:
        if faults := self.faults.get(what):
            raise faults.pop(0)

    def publish(self, messages: Sequence[Message]) -> list[tuple[int, int]]:
        self.trip("publish")
        return super().publish(messages)

    def subscribe(self, topics: Sequence[str], group: str | None = None, offsets: Any = None) -> Subscription:
        self.trip("subscribe")
        self.subscribed.append(dict(offsets or {}))
        self.followed.append(FlakySubscription(self, super().subscribe(topics, group, offsets)))
        return self.followed[-1]

    def rewind(self) -> None:
        """What a broker does to a reader whose offset no longer exists."""
        self.followed[-1].inner = super().subscribe([IN])


class FlakySubscription:
    def __init__(self, log: FlakyLog, inner: Subscription) -> None:
        self._log = log
        self.inner = inner
        self.close = inner.close

    def poll(self, timeout: float) -> list[Record]:
        self._log.trip("poll")
        if not (found := self.inner.poll(timeout)):
            self._log.on_idle()
        return found

    def commit(self, offsets: Any) -> None:
        self._log.trip("commit")
        self.inner.commit(offsets)


class House:
    """A service on twins. `restart` is what a crash leaves: log and ledger stay, everything else is new."""

    def __init__(self) -> None:
        self.log = FlakyLog()
        self.transactions = MemoryTransactions(FlakyUnitOfWork())
        self.handler = Handler()
        self.restart()

    def restart(self) -> None:
        self.health = FakeHealth()
        self.health.mark_started()
        self.publisher = OutboxPublisher(self.log, self.transactions)
        self.processor = RecordProcessor(
            self.handler, self.transactions, self.publisher, self.health, lambda: NOON, "d"
        )

    def publish(self, *numbers: int) -> None:
        self.log.publish([encode(IN, missed("d", number)) for number in numbers])

    def wipe(self) -> None:
        """What a database that was recreated knows."""
        self.transactions.committed.checkpoints = MemoryCheckpoints()

    async def process_all(self) -> None:
        for record in list(self.log.topics[IN]):
            await self.processor.process(record)

    async def run(self) -> None:
        """Consume what there is, until nothing is left or the loop halts; then stop as at a SIGTERM."""
        loop = asyncio.get_running_loop()
        self.log.on_idle = self.health.on_halt = lambda: loop.call_soon_threadsafe(self.health.stopping.set)
        await self.follow()

    async def follow(self) -> None:
        """Consume until somebody tells the service to stop; `on_idle` of the log is called whenever nothing is left."""
        consuming = consume([IN], "loader", self.log, self.transactions, self.publisher, self.processor, self.health)
        await asyncio.wait_for(consuming, 10)

    async def mark(self) -> int:
        return await self.transactions.run(lambda uow: uow.checkpoints.load(*PLACE))

    def sent(self, name: str = OUT) -> list[str]:
        return [record.value.decode() for record in self.log.topics.get(name, [])]

    def letters(self) -> list[RecordDeadlettered]:
        payloads = [decode(record).payload for record in self.log.topics.get(DEAD, [])]
        return [payload for payload in payloads if isinstance(payload, RecordDeadlettered)]


@pytest.fixture
def house() -> House:
    return House()


def _number(event: Event) -> int:
    assert isinstance(event.payload, BatchMissed)
    return event.payload.number


@pytest.mark.failure("F32")
async def test_an_event_takes_effect_once_though_delivered_twice(house: House) -> None:
    """The mark is kept with the effect: a record below it is passed over before anything is read for it."""
    house.publish(1)
    await house.process_all()
    await house.process_all()
    assert (house.handler.prepared, house.handler.effects, house.sent()) == ([1], [1], ["1"])
    assert await house.mark() == 1


@pytest.mark.failure("F32")
async def test_two_deliveries_at_once_take_effect_once(house: House) -> None:
    """An old owner that wakes up finds the mark moved when its transaction begins."""
    house.publish(1)
    await asyncio.gather(house.process_all(), house.process_all())
    assert (house.handler.effects, house.sent()) == ([1], ["1"])


async def test_records_of_other_types_pass_by(house: House) -> None:
    """They advance the mark and do nothing else."""
    other = Event("t", "trainer", NOON, TrainingSkipped(request_id="r", reason="x"))
    house.log.publish([encode(IN, other)])
    await house.process_all()
    assert (house.handler.prepared, house.log.topics.get(OUT), house.letters()) == ([], None, [])
    assert await house.mark() == 1


async def test_a_rejected_event_becomes_a_dead_letter(house: House) -> None:
    """With the record as it was and the reason; the handler notes it, the mark moves, the next one is taken."""
    house.publish(1, 2)
    house.handler.faults = {1: [Reject("too short", "3 rows")]}
    await house.process_all()
    assert (house.handler.refused, house.handler.effects) == ([(1, "too short: 3 rows")], [2])
    assert house.sent() == ["refused 1", "2"]
    assert await house.mark() == 2
    (letter,) = house.letters()
    (record, _) = house.log.topics[IN]
    assert (letter.service, letter.reason, letter.error) == ("loader", "too short", "too short: 3 rows")
    assert (letter.topic, letter.partition, letter.offset, letter.first_key) == (IN, 0, 0, "d")
    assert letter.value == record.value.decode()
    assert letter.headers == {name: value.decode() for name, value in record.headers}


async def test_a_dead_letters_id_is_derived(house: House) -> None:
    """Where the record lies and who could not process it: a second attempt gives the same id."""
    house.log.publish([message(IN, value=b"\xff")])
    await house.process_all()
    assert decode(house.log.topics[DEAD][0]).id == f"{IN}/0/0/dead/loader"


@pytest.mark.failure("F11", "F34")
async def test_a_record_that_is_no_event_becomes_a_dead_letter(house: House) -> None:
    """Nothing is known of it, so the handler is not asked; bytes that are no text are kept as escapes."""
    house.log.publish([message(IN, value=b"\xff\x00", headers=[("ce_id", b"\xfe")])])
    await house.process_all()
    (letter,) = house.letters()
    assert (letter.reason, letter.value, letter.headers) == ("a header is missing", "\\xff\x00", {"ce_id": "\\xfe"})
    assert (house.handler.prepared, house.handler.refused) == ([], [])
    assert await house.mark() == 1


async def test_a_reject_while_taking_effect_keeps_nothing_of_it(house: House) -> None:
    """What the transaction began is undone before the letter is written."""
    house.publish(1)
    house.handler.faults = {-1: [Reject("too late")]}
    await house.process_all()
    assert (house.handler.effects, house.sent()) == ([], ["refused 1"])
    assert [letter.reason for letter in house.letters()] == ["too late"]


async def test_an_error_that_nobody_foresaw_is_tried_again(house: House) -> None:
    """ATTEMPTS times; the last one that goes well counts."""
    house.publish(1)
    house.handler.faults = {1: [ValueError("odd") for _ in range(MAX_ATTEMPTS - 1)]}
    await house.process_all()
    assert (house.handler.prepared, house.handler.effects, house.letters()) == ([1] * MAX_ATTEMPTS, [1], [])


@pytest.mark.failure("F34")
@pytest.mark.parametrize("where", [1, -1], ids=["prepare", "apply"])
async def test_an_error_that_stays_becomes_a_dead_letter(house: House, where: int) -> None:
    """After ATTEMPTS; its reason is the class of the error, and the stream goes on."""
    house.publish(1, 2)
    house.handler.faults = {where: [ValueError("odd") for _ in range(MAX_ATTEMPTS)]}
    await house.process_all()
    assert house.handler.prepared == [1] * MAX_ATTEMPTS + [2]
    assert [(letter.reason, letter.error) for letter in house.letters()] == [("ValueError", "odd")]
    assert (house.handler.refused, house.handler.effects) == ([(1, "odd")], [2])


@pytest.mark.failure("F23")
@pytest.mark.parametrize("where", [1, -1], ids=["prepare", "apply"])
async def test_what_is_away_is_waited_for(house: House, where: int) -> None:
    """However long: it counts as no attempt, /readyz says what is missing, and the event takes effect."""
    house.publish(1)
    house.handler.faults = {where: [Retry("mysql", "gone") for _ in range(MAX_ATTEMPTS + 2)]}
    await house.process_all()
    assert house.health.pauses == [{"mysql": "mysql: gone"}] * (MAX_ATTEMPTS + 2)
    assert (house.handler.effects, house.letters(), house.health.unavailable) == ([1], [], {})


async def test_a_stopping_service_leaves_the_record_for_the_next_start(house: House) -> None:
    """Waiting ends with the service; mark and effect are untouched."""
    house.publish(1)
    house.handler.faults = {1: [Retry("mysql", "gone")]}
    house.health.stopping.set()
    with pytest.raises(asyncio.CancelledError):
        await house.process_all()
    assert (house.handler.effects, await house.mark()) == ([], 0)


@pytest.mark.failure("F12", "F35")
async def test_three_dead_letters_in_a_row_for_one_reason_stop_the_service(house: House) -> None:
    """The fault is not in the records then: the fourth is left untouched."""
    numbers = list(range(1, MAX_CONSECUTIVE + 2))
    house.publish(*numbers)
    house.handler.faults = {number: [Reject("no disk")] for number in numbers}
    with pytest.raises(Stop, match="3 consecutive dead letters for one reason: no disk"):
        await house.process_all()
    assert len(house.letters()) == MAX_CONSECUTIVE
    assert await house.mark() == MAX_CONSECUTIVE


async def test_an_event_that_succeeds_ends_the_row(house: House) -> None:
    """Single bad records never stop a service."""
    house.publish(*range(1, 13))
    house.handler.faults = {n: [Reject("bad")] for n in range(1, 13) if n % 4}
    await house.process_all()
    assert (len(house.letters()), house.handler.effects) == (9, [4, 8, 12])


async def test_another_reason_ends_the_row(house: House) -> None:
    """Different faults of many records are faults of the records."""
    house.publish(*range(1, 11))
    house.handler.faults = {n: [Reject("one" if n % 3 else "two")] for n in range(1, 11)}
    await house.process_all()
    assert len(house.letters()) == 10


async def test_records_that_pass_by_do_not_end_the_row(house: House) -> None:
    """They prove nothing about the service's own work."""
    house.handler.faults = {number: [Reject("no disk")] for number in range(1, 5)}
    for number in range(1, 5):
        house.publish(number)
        other = Event(f"t{number}", "trainer", NOON, TrainingSkipped(request_id="r", reason="x"))
        house.log.publish([encode(IN, other)])
    with pytest.raises(Stop):
        await house.process_all()


async def test_the_loop_halts_and_says_why(house: House) -> None:
    """/readyz is red, nothing more is taken, and the process lives on."""
    numbers = list(range(1, MAX_CONSECUTIVE + 3))
    house.publish(*numbers)
    house.handler.faults = {number: [Reject("no disk")] for number in numbers}
    await house.run()
    assert house.health.unavailable == {"loader": "3 consecutive dead letters for one reason: no disk"}
    assert (len(house.letters()), await house.mark()) == (MAX_CONSECUTIVE, MAX_CONSECUTIVE)


@pytest.mark.failure("F35")
async def test_a_new_start_after_a_halt_takes_the_record_again(house: House) -> None:
    """Nothing was lost: with the fault mended, the stream goes on where it stopped."""
    numbers = list(range(1, MAX_CONSECUTIVE + 2))
    house.publish(*numbers)
    house.handler.faults = {number: [Reject("no disk")] for number in numbers}
    await house.run()
    house.handler.faults = {}
    house.restart()
    await house.run()
    assert house.handler.effects == [MAX_CONSECUTIVE + 1]


async def test_a_publish_that_fails_keeps_the_outbox(house: House) -> None:
    """The effect is kept; its events leave later, in their order, before the record counts as done."""
    house.publish(1)
    house.log.faults = {"publish": [Retry("kafka", "gone")] * 3}
    await house.process_all()
    assert house.health.pauses == [{"kafka": "kafka: gone"}] * 3
    house.publish(2)
    await house.processor.process(house.log.topics[IN][1])
    assert (house.handler.effects, house.sent()) == ([1, 2], ["1", "2"])


@pytest.mark.failure("F33")
async def test_a_crash_between_transaction_and_publish_publishes_at_the_next_start(house: House) -> None:
    """The outbox is sent before the first record is taken; the event does not take effect again."""
    house.publish(1, 2)
    house.log.faults = {"publish": [Killed()]}
    with pytest.raises(Killed):
        await house.process_all()
    assert (house.handler.effects, house.sent(), await house.mark()) == ([1], [], 1)
    house.restart()
    await house.run()
    assert (house.handler.effects, house.sent()) == ([1, 2], ["1", "2"])


async def test_a_crash_between_publish_and_forgetting_publishes_twice(house: House) -> None:
    """At least once, in order: the same event with the same id; the effect itself is not repeated."""
    house.publish(1, 2)
    house.transactions.committed.faults.append(Killed())
    with pytest.raises(Killed):
        await house.process_all()
    house.restart()
    await house.run()
    assert (house.handler.effects, house.sent()) == ([1, 2], ["1", "1", "2"])


async def test_the_loop_goes_on_from_its_own_marks(house: House) -> None:
    """Kafka's offsets only show the lag: they are committed, and not read."""
    house.publish(1, 2)
    await house.run()
    house.publish(3)
    house.log.committed["loader", IN, 0] = 0
    house.restart()
    await house.run()
    assert house.log.subscribed == [{}, {PLACE: 2}]
    assert house.handler.effects == [1, 2, 3]
    assert house.log.committed["loader", IN, 0] == 3


@pytest.mark.failure("F23")
@pytest.mark.parametrize("what", ["subscribe", "poll", "commit"])
async def test_the_loop_outlives_an_outage_of_the_log(house: House, what: str) -> None:
    """It says what is missing, subscribes again from its marks, and each event takes effect once."""
    house.publish(1, 2)
    house.log.faults = {what: [Retry("kafka", "gone"), Retry("kafka", "gone")]}
    await house.run()
    assert {"kafka": "kafka: gone"} in house.health.pauses
    assert (house.handler.effects, house.sent(), house.health.unavailable) == ([1, 2], ["1", "2"], {})


@pytest.mark.failure("F39")
async def test_a_topic_that_was_made_anew_is_taken_from_its_beginning(house: House) -> None:
    """A mark beyond the end is of the topic before: what comes now must not pass by as known."""
    house.publish(1, 2, 3)
    await house.run()
    house.log.topics.clear()
    house.restart()
    house.publish(4)
    await house.run()
    assert (house.handler.effects, await house.mark()) == ([1, 2, 3, 4], 1)


@pytest.mark.failure("F25")
async def test_the_loop_stops_between_two_records(house: House) -> None:
    """What was begun is finished; what was not is left for the next start."""
    house.publish(1, 2, 3)
    house.handler.on_effect = house.health.stopping.set
    await house.run()
    assert (house.handler.effects, house.sent(), await house.mark()) == ([1], ["1"], 1)


def test_a_dead_letter_fits_whatever_it_tells_of() -> None:
    """Value and key are cut: the whole record still lies where the letter says."""
    huge = record_of(message(IN, "k" * 10_000, b"\xff" * (MAX_VALUE_BYTES + 1), [("h", b"\xff" * 10_000)]))
    letter = decode(record_of(DeadLetters("loader", "d", lambda: NOON).message("why", ValueError("no"), huge))).payload
    assert isinstance(letter, RecordDeadlettered)
    assert len(letter.value) == 4 * MAX_VALUE_BYTES
    assert len(letter.first_key) == MAX_KEY_LENGTH
    assert len(letter.headers["h"]) < 5_000


def test_a_dead_letter_fits_whatever_the_error_says() -> None:
    """A long error and many headers are cut: a letter that its topic does not take would block the outbox for ever."""
    headers = [(f"h{i}", b"\xff" * 10_000) for i in range(5_000)]
    huge = record_of(message(IN, "k", b"\xff" * (MAX_VALUE_BYTES + 1), headers))
    letter = DeadLetters("loader", "d", lambda: NOON).message("why", ValueError("x" * 10_000_000), huge)
    assert len(letter.value) < MAX_MESSAGE_BYTES


async def test_a_dead_letter_that_cannot_be_noted_is_sent_all_the_same(house: House, monkeypatch: Any) -> None:
    """A fault in the handler's own note must not keep the stream from going on."""

    def refuse(*_: object) -> None:
        raise RuntimeError("no room for a finding")

    monkeypatch.setattr(house.handler, "on_dead_letter", refuse)
    house.handler.faults = {1: [Reject("bad")]}
    house.publish(1)
    await house.process_all()
    assert [letter.reason for letter in house.letters()] == ["bad"]
    assert await house.mark() == 1


def test_what_never_lay_in_a_topic_has_a_dead_letter_too() -> None:
    """A message that could not even be sent: no partition, no offset."""
    unsent = message("RAW_DATA.new_d", "r-1")
    letter = decode(record_of(DeadLetters("inference", "d", lambda: NOON).message("why", ValueError("no"), unsent)))
    assert letter.id == "RAW_DATA.new_d/r-1/dead/inference"
    assert isinstance(letter.payload, RecordDeadlettered)
    assert (letter.payload.partition, letter.payload.offset) == (None, None)


async def test_a_wiped_database_is_filled_from_the_beginning(house: House) -> None:
    """The marks are gone while the service runs: no record is passed over."""
    house.publish(0, 1, 2)

    def wipe() -> None:
        if house.handler.effects == [0, 1]:
            loop.call_soon_threadsafe(house.wipe)

    loop = asyncio.get_running_loop()
    house.handler.on_effect = wipe
    house.log.on_idle = lambda: loop.call_soon_threadsafe(house.health.stopping.set)
    await house.follow()
    assert house.handler.effects == [0, 1, 0, 1, 2]


@pytest.mark.failure("F09")
async def test_a_wiped_database_is_noticed_though_nothing_comes(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """The marks are compared with what this process took itself."""
    monkeypatch.setattr("veleta.service.health.CHECK_SECONDS", 0.0)
    house.publish(0, 1)
    loop = asyncio.get_running_loop()
    polls: list[int] = []

    def idle() -> None:
        polls.append(1)
        if len(polls) == 1:
            loop.call_soon_threadsafe(house.wipe)
        if len(house.handler.effects) == 4:
            loop.call_soon_threadsafe(house.health.stopping.set)

    house.log.on_idle = idle
    await house.follow()
    assert house.handler.effects == [0, 1, 0, 1]


@pytest.mark.failure("F09")
async def test_a_topic_made_anew_while_it_is_followed_is_taken_from_its_beginning(house: House) -> None:
    """Its offsets begin again below those that were taken."""
    house.publish(0, 1)
    loop = asyncio.get_running_loop()
    polls: list[int] = []

    def idle() -> None:
        polls.append(1)
        if len(polls) == 1:
            house.log.topics[IN].clear()
            house.publish(7)
            house.log.rewind()
        if 7 in house.handler.effects:
            loop.call_soon_threadsafe(house.health.stopping.set)

    house.log.on_idle = idle
    await house.follow()
    assert house.handler.effects == [0, 1, 7]


@pytest.mark.failure("F12")
async def test_a_record_for_another_service_passes_by(house: House) -> None:
    """It was sent again to one that is named, whether it can be read or not."""
    house.log.publish([message(IN, headers=[(ADDRESSEE, b"drift")])])
    sent = encode(IN, missed("d", 1))
    house.log.publish([message(IN, sent.key, sent.value, (*sent.headers, (ADDRESSEE, b"loader")))])
    await house.process_all()
    assert house.handler.effects == [1]
    assert house.letters() == []
    assert await house.mark() == 2


PLACES = ("processor.prepared", "processor.applied", "processor.committed", "outbox.published", "consumer.processed")


@pytest.mark.parametrize("place", PLACES)
async def test_a_kill_at_any_arrow_is_made_good(house: House, place: str) -> None:
    """The next start brings the record to its end: one effect, its event at least once, the mark behind it."""
    house.publish(0, 1)
    killed: list[str] = []

    def kill(passed: str) -> None:
        if passed == place and not killed:
            killed.append(passed)
            raise Killed

    fault_point.install(kill)
    try:
        with pytest.raises(BaseExceptionGroup) as caught:
            await house.run()
    finally:
        fault_point.install(None)
    assert caught.group_contains(Killed)
    kept = place in ("processor.committed", "outbox.published", "consumer.processed")
    assert await house.mark() == int(kept)
    house.restart()
    await house.run()
    assert await house.mark() == 2
    assert sorted(set(house.sent())) == ["0", "1"]
    assert house.transactions.committed.outbox.oldest() == []
