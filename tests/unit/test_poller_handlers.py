"""What the poller does with what the API answers, on topics in memory and an inbox on disk."""

import asyncio
import contextlib
import json
import shutil
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Literal

import pytest

from veleta.adapters.memory import MemoryLog
from veleta.batches import BatchReader, batch_manifests, read_events
from veleta.commands import PendingCommands
from veleta.dataset import load_dataset
from veleta.errors import Retry, Stop
from veleta.events.catalogue import (
    BatchClosed,
    BatchMissed,
    BatchRefused,
    Command,
    CommandAccepted,
    CommandRefused,
    Pause,
    Poll,
    RecordDeadlettered,
    Resume,
)
from veleta.events.envelope import Event, Message, Record, decode, encode
from veleta.service.health import ServiceHealth
from veleta.topics import topic
from veleta_poller.adapters import inbox as inbox_module
from veleta_poller.adapters.inbox import Inbox
from veleta_poller.adapters.topics import Topics
from veleta_poller.domain.sequence import Position
from veleta_poller.domain.state import Body, Reply, State
from veleta_poller.domain.tap import TAKES, Tap
from veleta_poller.handlers import Interrupted, Poller

DATASET = load_dataset("real_estate")
END = (400, json.dumps({"detail": "Ya se recolectó toda la información mínima necesaria"}))
COMMANDS = topic(DATASET.name, "commands")
Script = Iterable[tuple[int, str] | Exception | str]
"""Answers in their order: status and body; an error; or a text, the part that came before the answer broke off."""


def batch(number: int, price: float = 1.0, **more: object) -> tuple[int, str]:
    """An answer with two rows."""
    rows = [{**DATASET.example, "price": price + i, **more} for i in range(2)]
    return 200, json.dumps({"group_number": 7, "batch_number": number, "data": rows})


async def until(condition: Callable[[], bool]) -> None:
    """Let the poller run until this is true."""
    async with asyncio.timeout(20):
        while not condition():  # noqa: ASYNC110 - the product has no event to wait for
            await asyncio.sleep(0.001)


class Clock:
    """A second passes with each look."""

    def __init__(self) -> None:
        self._now = datetime(2026, 1, 1, tzinfo=UTC)

    def __call__(self) -> datetime:
        self._now += timedelta(seconds=1)
        return self._now


class ScriptedApi:
    """Answers by the script; when it is over, the service is told to stop."""

    def __init__(self, script: Script, inbox: Inbox, health: ServiceHealth, restarts: list[Retry | None]) -> None:
        self._script = list(script)
        self._inbox = inbox
        self._health = health
        self._restarts = restarts
        self.restarted = 0

    async def take(self, arrived: Callable[[int], None]) -> Body:
        if not self._script:
            self._health.stopping.set()
            raise Retry("api", "the script is over")
        answer = self._script.pop(0)
        if isinstance(answer, Exception):
            raise answer
        status, text = answer if isinstance(answer, tuple) else (200, answer)
        with self._inbox.part(status) as part:
            part.write(text.encode(errors="surrogateescape"))
            arrived(part.size)
            if isinstance(answer, str):
                raise Interrupted("cut off")
            return part.whole()

    async def restart(self) -> None:
        self.restarted += 1
        if self._restarts and (error := self._restarts.pop(0)):
            raise error


class FailingLog(MemoryLog):
    """The broker is away at the times that `failures` says; "late" is away after it appended."""

    def __init__(self) -> None:
        super().__init__()
        self.failures: dict[int, Literal["away", "late"]] = {}
        self.calls = 0

    def publish(self, messages: Sequence[Message]) -> list[tuple[int, int]]:
        self.calls += 1
        how = self.failures.get(self.calls)
        if how == "away":
            raise Retry("kafka", "away")
        places = super().publish(messages)
        if how == "late":
            raise Retry("kafka", "no acknowledgement")
        return places


class Scene:
    """A poller with everything around it; `run` may be called again, as after a crash, on another folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.log = FailingLog()
        self.clock = Clock()
        self.health = ServiceHealth("poller")
        self.restarts: list[Retry | None] = []
        self.inbox = Inbox(folder, self.clock)
        self.topics = Topics(DATASET, self.log, self.clock)
        self.desk = PendingCommands("poller", TAKES, began=0)

    async def run(
        self,
        *script: tuple[int, str] | Exception | str,
        at_end: Literal["restart", "stop"] = "restart",
        poll: Literal["auto", "manual"] = "auto",
    ) -> None:
        self.api = ScriptedApi(script, self.inbox, self.health, self.restarts)
        poller = Poller(DATASET, self.inbox, self.api, self.topics, self.health, at_end, poll, 0)
        with contextlib.suppress(asyncio.CancelledError):
            async with asyncio.TaskGroup() as group:
                obeying = group.create_task(poller.obey(self.desk))
                await poller.run()
                obeying.cancel()

    def ask(self, kind: type[Command], name: str) -> None:
        """Somebody sends a command."""
        command = Event(name, "test", self.clock(), kind(dataset=DATASET.name, actor="ana"))
        ((partition, offset),) = self.log.publish([message := encode(COMMANDS, command)])
        self.desk.take([Record(COMMANDS, partition, offset, message.key, message.headers, message.value)])

    def answers(self) -> list[tuple[str, str]]:
        """What was said of each command: its id and the effect or the reason."""
        said = [decode(record).payload for record in self.log.topics.get(COMMANDS, [])]
        replies = [each for each in said if isinstance(each, CommandAccepted | CommandRefused)]
        return [(r.command, r.effect if isinstance(r, CommandAccepted) else r.reason) for r in replies]

    def crashed(self, folder: Path) -> "Scene":
        """The same topics, and the inbox as a crash left it."""
        shutil.copytree(self.folder, folder, ignore=shutil.ignore_patterns("*.draft"))
        scene = Scene(folder)
        scene.log, scene.clock = self.log, self.clock
        scene.topics = Topics(DATASET, self.log, self.clock)
        return scene

    def told(self, *kinds: type) -> list[Any]:
        """The payloads of these kinds in `batches`."""
        return [event.payload for event in read_events(self.log, DATASET.name) if isinstance(event.payload, kinds)]

    def closed(self) -> list[tuple[int, int]]:
        """Epoch and number of the manifests, in their order, each of them checked against its rows."""
        payloads = [event.payload for event in batch_manifests(read_events(self.log, DATASET.name)).values()]
        for payload in payloads:
            assert isinstance(payload, BatchClosed)
            assert sum(len(rows) for rows in BatchReader(self.log).chunks(payload)) == payload.rows
        return [(p.epoch, p.number) for p in payloads if isinstance(p, BatchClosed)]

    def files(self) -> list[str]:
        """What lies in the inbox, by suffix; `kept` for what is kept."""
        waiting = [path.suffix for path in self.folder.iterdir() if path.suffix in (".part", ".body")]
        return sorted(waiting + [f"kept{path.suffix}" for path in (self.folder / "kept").iterdir()])


@pytest.fixture
def scene(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Scene:
    monkeypatch.setattr("veleta.service.health.INITIAL_BACKOFF", 0.001)
    return Scene(tmp_path / "inbox")


async def test_batches_go_to_the_topics_and_leave_the_disk(scene: Scene) -> None:
    """After the manifest is acknowledged the file is not needed."""
    await scene.run(batch(0), batch(1))
    assert scene.closed() == [(1, 0), (1, 1)]
    assert scene.files() == []
    assert scene.inbox.recall().position.place == (1, 1)


async def test_the_dataset_is_declared_once(scene: Scene, tmp_path: Path) -> None:
    """Again only when it differs from the last declaration."""
    await scene.run(batch(0))
    await scene.crashed(tmp_path / "second").run(batch(1))
    records = scene.log.topics["real_estate.batches"]
    assert [decode(r).id for r in records if decode(r).type == "dataset.declared"] == ["real_estate/declared/0"]


async def test_a_gap_is_missed_and_the_batch_goes_on(scene: Scene) -> None:
    """A number above the expected one is published all the same."""
    await scene.run(batch(0), batch(3))
    assert scene.closed() == [(1, 0), (1, 3)]
    assert [(m.epoch, m.number) for m in scene.told(BatchMissed)] == [(1, 1), (1, 2)]


@pytest.mark.failure("F03")
async def test_a_repeat_is_ignored_and_noted_in_the_next_manifest(scene: Scene) -> None:
    """Nothing is published twice, and nothing passes in silence."""
    await scene.run(batch(0), batch(0), batch(0), batch(1), batch(2))
    assert [(m.number, m.findings) for m in scene.told(BatchClosed)] == [(0, []), (1, ["batch 0 came twice"]), (2, [])]
    assert scene.files() == []


async def test_a_new_epoch_that_nobody_announced_is_a_finding(scene: Scene) -> None:
    """An unexpected 0, or other rows under a known number."""
    await scene.run(batch(0), batch(1), batch(0), batch(0, price=9.0))
    assert scene.closed() == [(1, 0), (1, 1), (2, 0), (3, 0)]
    assert all("restarted elsewhere" in m.findings[0] for m in scene.told(BatchClosed)[2:])


@pytest.mark.parametrize(
    "answer", [(500, '{"detail": "down"}'), (200, "{"), (200, '{"batch_number": 0, "data": []}'), (200, "\udcff")]
)
async def test_a_refused_answer_is_kept_under_its_number(scene: Scene, answer: tuple[int, str]) -> None:
    """The body stays for people; the number that was expected is still due."""
    await scene.run(batch(0), answer, batch(1))
    [refused] = scene.told(BatchRefused)
    assert (refused.epoch, refused.number, refused.status) == (1, 1, answer[0])
    assert (scene.folder / "kept" / refused.body).read_bytes() == answer[1].encode(errors="surrogateescape")
    assert scene.closed() == [(1, 0), (1, 1)]


@pytest.mark.failure("F02")
async def test_a_part_is_kept_and_the_next_number_tells(scene: Scene) -> None:
    """n: nothing was lost; n+1: n was missed."""
    await scene.run(batch(0), '{"batch_nu', batch(1), '{"batch_nu', batch(3))
    assert scene.closed() == [(1, 0), (1, 1), (1, 3)]
    assert [m.number for m in scene.told(BatchMissed)] == [2]
    assert scene.files() == ["kept.part", "kept.part"]


@pytest.mark.failure("F02")
async def test_a_part_before_the_end_was_the_last_batch(scene: Scene) -> None:
    """No later number can tell that it was missed."""
    await scene.run(batch(0), '{"batch_nu', END, batch(0))
    assert [(m.epoch, m.number) for m in scene.told(BatchMissed)] == [(1, 1)]
    assert scene.closed() == [(1, 0), (2, 0)]


async def test_a_question_that_broke_off_before_any_answer_tells_nothing(scene: Scene) -> None:
    """Whether a batch was lost, the next number says."""
    await scene.run(batch(0), Interrupted("timeout"), END, batch(0))
    assert scene.told(BatchMissed) == []
    assert scene.closed() == [(1, 0), (2, 0)]


async def test_the_api_being_away_is_said(scene: Scene) -> None:
    """/readyz names what is waited for, and forgets it when it is there again."""
    await scene.run(Retry("api", "connection refused"))
    assert "connection refused" in scene.health.unavailable["api"] or "script" in scene.health.unavailable["api"]
    assert "start" in scene.health.unavailable


async def test_ready_once_the_api_answered(scene: Scene) -> None:
    """The script's end is the only thing that is missing then."""
    await scene.run(Interrupted("timeout"), batch(0))
    assert set(scene.health.unavailable) == {"api"}
    assert "over" in scene.health.unavailable["api"]


async def test_at_the_end_a_new_epoch_is_opened(scene: Scene) -> None:
    """The API begins again with the same rows; they are another epoch's."""
    await scene.run(batch(0), END, batch(0), END, batch(0))
    assert scene.api.restarted == 2
    assert scene.closed() == [(1, 0), (2, 0), (3, 0)]
    assert [m.findings for m in scene.told(BatchClosed)] == [[], [], []]


@pytest.mark.failure("F06")
async def test_a_restart_that_is_not_confirmed_is_asked_for_again(scene: Scene) -> None:
    """It moves no cursor past a batch, so asking twice is harmless."""
    scene.restarts += [Retry("api", "restart: HTTP 500"), None]
    await scene.run(batch(0), END, batch(0))
    assert scene.api.restarted == 2
    assert scene.closed() == [(1, 0), (2, 0)]


@pytest.mark.failure("F06")
async def test_an_open_intent_survives_a_crash(scene: Scene, tmp_path: Path) -> None:
    """Restart called, crash: the next batch decides, and 0 confirms."""
    await scene.run(batch(0), END)
    after = scene.crashed(tmp_path / "after")
    assert after.inbox.recall().restarting
    await after.run(batch(0))
    assert after.closed() == [(1, 0), (2, 0)]
    assert not after.inbox.recall().restarting


@pytest.mark.failure("F27")
async def test_stop_means_no_more_questions(scene: Scene) -> None:
    """It stays ready and says where it is."""
    running = asyncio.create_task(scene.run(batch(0), END, batch(0), at_end="stop"))
    await until(lambda: scene.health.activity == "at the end of the data")
    assert scene.health.unavailable == {}
    scene.health.stopping.set()
    await running
    assert (scene.closed(), scene.api.restarted) == ([(1, 0)], 0)


@pytest.mark.parametrize("how", ["away", "late"])
@pytest.mark.parametrize("call", [2, 3, 4])
async def test_a_broker_that_goes_away_while_publishing_changes_nothing(
    scene: Scene, call: int, how: Literal["away", "late"]
) -> None:
    """The batch is published again from its start; one that was closed unheard is no repeat of the API."""
    scene.log.failures = {call: how}
    await scene.run(batch(0), batch(1))
    assert scene.closed() == [(1, 0), (1, 1)]
    assert [m.findings for m in manifests_of(scene)] == [[], []]
    assert scene.files() == []


@pytest.mark.failure("F05")
@pytest.mark.parametrize("call", [2, 3, 4])
async def test_a_crash_while_publishing_is_made_good(scene: Scene, tmp_path: Path, call: int) -> None:
    """The file is published again; what lies outside the manifest's range is left alone."""
    scene.log.failures = {call: "late"}
    copies: list[Scene] = []

    def crash(dependency: str, reason: str) -> None:
        copies.append(scene.crashed(tmp_path / "after"))
        scene.health.stopping.set()
        del dependency, reason

    scene.health.set_unavailable = crash  # type: ignore[method-assign]  # the moment in which Retry is told is the crash
    await scene.run(batch(0))
    [after] = copies
    assert after.files() == [".body"]
    await after.run(batch(1))
    assert after.closed() == [(1, 0), (1, 1)]
    assert [m.findings for m in manifests_of(after)] == [[], []]
    assert after.files() == []


@pytest.mark.failure("F04")
async def test_a_lost_inbox_goes_on_where_the_topics_are(scene: Scene, tmp_path: Path) -> None:
    """It must not begin at epoch 1 again."""
    await scene.run(batch(0), END, batch(0))
    scene.folder = tmp_path / "new"
    (after := Scene(scene.folder)).log = scene.log
    after.topics = Topics(DATASET, scene.log, scene.clock)
    await after.run(batch(1))
    assert after.closed() == [(1, 0), (2, 0), (2, 1)]


@pytest.mark.failure("F04")
async def test_lost_topics_go_on_where_the_inbox_is(scene: Scene, tmp_path: Path) -> None:
    """The greater of the two counts."""
    await scene.run(batch(0), END, batch(0))
    after = scene.crashed(tmp_path / "after")
    after.log = FailingLog()
    after.topics = Topics(DATASET, after.log, after.clock)
    await after.run(batch(1))
    assert after.closed() == [(2, 1)]


@pytest.mark.failure("F31")
async def test_what_no_record_can_hold_is_a_dead_letter(scene: Scene) -> None:
    """The batch is refused, its body kept, and the next one is taken."""
    await scene.run(batch(0), batch(1, city="x" * 9_000_000), batch(2))
    [letter] = [decode(record).payload for record in scene.log.topics["real_estate.deadletter"]]
    assert isinstance(letter, RecordDeadlettered)
    assert (letter.service, letter.reason, letter.first_key) == ("poller", "too large for its topic", "real_estate/1/1")
    assert len(letter.value) < 100_000
    [refused] = scene.told(BatchRefused)
    assert (refused.number, scene.files()) == (1, ["kept.body"])
    assert scene.closed() == [(1, 0), (1, 2)]
    assert scene.told(BatchMissed) == []


@pytest.mark.failure("F31")
async def test_three_dead_letters_in_a_row_halt_the_poller(scene: Scene) -> None:
    """The fault is not in the batches then."""
    running = asyncio.create_task(scene.run(*(batch(n, city="x" * 9_000_000) for n in range(4))))
    await until(lambda: bool(scene.health.stop_reason))
    scene.health.stopping.set()
    await running
    assert [refused.number for refused in scene.told(BatchRefused)] == [0, 1, 2]
    assert "too large" in scene.health.unavailable["poller"]


@pytest.mark.failure("F01")
async def test_no_question_without_room_on_the_disk(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    """An answer that does not fit would be lost."""
    monkeypatch.setattr(inbox_module, "LEAST_ROOM", 2**62)
    running = asyncio.create_task(scene.run(batch(0)))
    await until(lambda: "disk" in scene.health.unavailable)
    assert scene.told(BatchClosed) == []
    monkeypatch.setattr(inbox_module, "LEAST_ROOM", 0)
    await running
    assert scene.closed() == [(1, 0)]


@pytest.mark.failure("F01")
async def test_the_largest_body_decides_how_much_room_is_needed(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    """Three of them must fit."""
    await scene.run(batch(0), batch(1, city="x" * 10_000))
    largest = scene.inbox.recall().largest
    assert largest > 20_000
    monkeypatch.setattr(inbox_module, "LEAST_ROOM", 0)
    scene.inbox.need_room(largest)
    with pytest.raises(Retry, match="disk"):
        scene.inbox.need_room(2**60)


def test_one_inbox_has_one_poller(tmp_path: Path) -> None:
    """The second stands by, and says so."""
    Inbox(tmp_path, Clock()).lock()
    with pytest.raises(Retry, match="another poller"):
        Inbox(tmp_path, Clock()).lock()


def test_the_state_survives_the_process(tmp_path: Path) -> None:
    """All of it."""
    state = State(Position(2, 3, "d"), restart_of=2, torn=True, notes=("n",), largest=7)
    Inbox(tmp_path, Clock()).remember(state)
    assert Inbox(tmp_path, Clock()).recall() == state
    assert (state.restarting, state.due) == (True, (3, 0))


@pytest.mark.parametrize("content", ["{", "[]", '{"position": {"epoch": 1, "what": 2}, "notes": []}'])
def test_a_state_that_cannot_be_read_is_not_begun_anew(tmp_path: Path, content: str) -> None:
    """A silent beginning would open epoch 1 a second time."""
    inbox = Inbox(tmp_path, Clock())
    (tmp_path / "position.json").write_text(content)
    with pytest.raises(Stop, match=r"position\.json"):
        inbox.recall()


def manifests_of(scene: Scene) -> list[BatchClosed]:
    """The manifest that counts for each batch."""
    payloads = [event.payload for event in batch_manifests(read_events(scene.log, DATASET.name)).values()]
    return [payload for payload in payloads if isinstance(payload, BatchClosed)]


async def test_by_hand_a_batch_is_taken_only_when_it_is_asked_for(scene: Scene) -> None:
    """POLL=manual begins paused, and ready; each poll takes one batch."""
    running = asyncio.create_task(scene.run(batch(0), batch(1), batch(2), poll="manual"))
    await until(lambda: not scene.health.unavailable)
    assert scene.closed() == []
    assert "paused" in scene.health.activity
    scene.ask(Poll, "1")
    await until(lambda: scene.closed() == [(1, 0)])
    scene.ask(Poll, "2")
    scene.ask(Poll, "3")
    await until(lambda: scene.closed() == [(1, 0), (1, 1), (1, 2)])
    scene.health.stopping.set()
    await running
    assert scene.answers() == [(name, "the next batch is taken now, if there is one") for name in "123"]
    assert scene.inbox.recall().tap == Tap("manual", paused=True)


async def test_pause_and_resume_outlive_a_new_start(scene: Scene, tmp_path: Path) -> None:
    """Until somebody resumes, nothing is taken, whatever happens to the process; the setting alone says otherwise."""
    running = asyncio.create_task(scene.run(poll="manual"))
    await until(lambda: not scene.health.unavailable)
    scene.ask(Resume, "1")
    await running
    assert not scene.inbox.recall().tap.paused
    again = scene.crashed(tmp_path / "again")
    await again.run(batch(0), poll="manual")
    assert again.closed() == [(1, 0)]
    changed = again.crashed(tmp_path / "changed")
    changed.health.stopping.set()
    await changed.run(poll="auto")
    assert changed.inbox.recall().tap == Tap("auto", paused=False)


async def test_pause_stops_the_taking(scene: Scene) -> None:
    """What is wanted by hand is forgotten too."""
    assert Tap(wanted=2).turned(Pause(dataset="d", actor="ana"))[0] == Tap(paused=True, pauses=1)
    scene.inbox.remember(State(tap=Tap(paused=True)))
    running = asyncio.create_task(scene.run(batch(0)))
    await until(lambda: not scene.health.unavailable)
    await asyncio.sleep(0.05)
    assert scene.closed() == []
    scene.ask(Resume, "1")
    await running
    assert scene.closed() == [(1, 0)]


async def test_a_batch_asked_for_at_the_end_is_the_first_of_the_next_epoch(scene: Scene) -> None:
    """Who asks for a batch gets one, though the API has to be restarted for it."""
    running = asyncio.create_task(scene.run(batch(0), END, batch(0), poll="manual"))
    for number, name in enumerate(("1", "2")):
        await until(lambda count=number: len(scene.closed()) == count)  # type: ignore[misc]  # bound at once
        scene.ask(Poll, name)
    await until(lambda: scene.closed() == [(1, 0), (2, 0)])
    scene.health.stopping.set()
    await running
    assert scene.api.restarted == 1


async def test_what_cannot_be_done_is_refused(scene: Scene) -> None:
    """At the end of the data no command has an effect, and that is said."""
    running = asyncio.create_task(scene.run(END, at_end="stop"))
    await until(lambda: not scene.health.unavailable)
    for name, kind in enumerate((Poll, Pause, Resume)):
        scene.ask(kind, str(name))
    await until(lambda: len(scene.answers()) == 3)
    scene.health.stopping.set()
    await running
    assert {words for _, words in scene.answers()} == {"all batches were handed out (AT_END=stop)"}


@pytest.mark.failure("F30")
async def test_a_command_older_than_the_process_is_refused(scene: Scene) -> None:
    """Nobody knows any more what it was for."""
    scene.desk = PendingCommands("poller", TAKES, began=1)
    scene.ask(Poll, "1")
    running = asyncio.create_task(scene.run(poll="manual"))
    await until(lambda: len(scene.answers()) == 1)
    scene.health.stopping.set()
    await running
    assert scene.answers() == [("1", "it was sent while the poller was down")]


@pytest.mark.failure("F28")
async def test_an_answer_that_was_kept_is_told_after_a_crash(scene: Scene) -> None:
    """What a command did and what is said of it are kept together, before anybody hears of it."""
    scene.inbox.remember(State(tap=Tap(paused=True), replies=(Reply("1", accepted=True, words="paused"),)))
    running = asyncio.create_task(scene.run())
    await until(lambda: scene.answers() == [("1", "paused")] and not scene.inbox.recall().replies)
    scene.health.stopping.set()
    await running


async def test_an_answer_waits_for_the_broker(scene: Scene) -> None:
    """It is told when the broker is back, once."""
    running = asyncio.create_task(scene.run(poll="manual"))
    await until(lambda: not scene.health.unavailable)
    scene.log.failures = {scene.log.calls + 2: "away"}
    scene.ask(Pause, "1")
    await until(lambda: len(scene.answers()) == 1)
    await until(lambda: not scene.inbox.recall().replies)
    scene.health.stopping.set()
    await running
    assert scene.answers() == [("1", "no further batch is taken until the poller is told to go on")]


@pytest.mark.failure("F29")
async def test_a_pause_holds_though_the_api_comes_back_later(scene: Scene) -> None:
    """A question that waits for the API is not asked any more when somebody paused meanwhile."""
    running = asyncio.create_task(scene.run(*[Retry("api", "away")] * 60, batch(0)))
    await until(lambda: "api" in scene.health.unavailable)
    scene.ask(Pause, "1")
    await until(lambda: "paused" in scene.health.activity)
    scene.health.stopping.set()
    await running
    assert scene.closed() == []


@pytest.mark.failure("F29")
async def test_what_is_wanted_while_the_api_is_away_is_still_wanted_after_a_stop(scene: Scene) -> None:
    """Only a question that was asked counts; a pause cancels it."""
    running = asyncio.create_task(scene.run(*[Retry("api", "away")] * 60, poll="manual"))
    await until(lambda: not scene.health.unavailable)
    scene.ask(Poll, "1")
    await until(lambda: "api" in scene.health.unavailable)
    scene.health.stopping.set()
    await running
    assert scene.inbox.recall().tap.wanted == 1
    wanted = Tap(paused=True, wanted=1)
    paused, _ = wanted.served().turned(Pause(dataset="d", actor="ana"))
    assert paused.unserved(wanted).wanted == 0


async def test_a_command_is_answered_once_though_it_is_read_again(scene: Scene) -> None:
    """Its answer was kept before a crash, and the topic is read from its beginning before the answer is there."""
    scene.inbox.remember(State(tap=Tap("manual", paused=True), replies=(Reply("1", accepted=True, words="taken"),)))
    scene.desk = PendingCommands("poller", TAKES, began=1)
    scene.ask(Poll, "1")
    running = asyncio.create_task(scene.run(poll="manual"))
    await until(lambda: len(scene.answers()) == 1)
    scene.ask(Poll, "1")
    scene.ask(Pause, "2")
    await until(lambda: len(scene.answers()) == 2)
    scene.health.stopping.set()
    await running
    assert [name for name, _ in scene.answers()] == ["1", "2"]


async def test_one_wish_is_one_question_though_a_restart_is_not_confirmed(scene: Scene) -> None:
    """The end alone is asked over again for it, not a bad answer after a restart."""
    running = asyncio.create_task(scene.run(END, (500, "{}"), batch(0), poll="manual"))
    await until(lambda: not scene.health.unavailable)
    scene.ask(Poll, "1")
    await until(lambda: len(scene.told(BatchRefused)) == 1)
    await asyncio.sleep(0.3)
    assert scene.closed() == []
    scene.health.stopping.set()
    await running
