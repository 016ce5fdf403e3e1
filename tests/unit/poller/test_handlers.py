"""What the poller does with responses and commands."""

import asyncio
import json
from functools import partial
from pathlib import Path
from typing import Literal

import pytest

from support.poller import DATASET, END, Scene, batch, until
from veleta.errors import Retry
from veleta.events.catalogue import (
    BatchClosed,
    BatchMissed,
    BatchRefused,
    DatasetDeclared,
    Pause,
    Poll,
    RecordDeadlettered,
    Resume,
)
from veleta.events.envelope import decode
from veleta.faults import fault_point
from veleta_poller.domain.state import PollerState, PollMode, Reply
from veleta_poller.ports import ResponseInterrupted
from veleta_poller.topics import Topics


async def test_batches_are_published_and_deleted_from_the_inbox(scene: Scene) -> None:
    """The inbox does not need a response whose manifest is acknowledged."""
    await scene.run(batch(0), batch(1))
    assert scene.closed() == [(1, 0), (1, 1)]
    assert scene.files() == []
    assert scene.inbox.load_state().position.batch == (1, 1)


async def test_the_dataset_is_declared_once(scene: Scene, tmp_path: Path) -> None:
    """It is declared again only when it differs from the last declaration."""
    await scene.run(batch(0))
    await scene.crashed(tmp_path / "second").run(batch(1))
    records = scene.log.topics["real_estate.batches"]
    assert [decode(r).id for r in records if decode(r).type == "dataset.declared"] == ["real_estate/declared/0"]


@pytest.mark.failure("F03")
async def test_skipped_numbers_are_missed_batches(scene: Scene) -> None:
    """A batch with a number above the expected one is published."""
    await scene.run(batch(0), batch(3))
    assert scene.closed() == [(1, 0), (1, 3)]
    assert [(m.epoch, m.number) for m in scene.published(BatchMissed)] == [(1, 1), (1, 2)]


@pytest.mark.failure("F75")
async def test_a_repeat_is_ignored_and_is_a_finding_of_the_next_manifest(scene: Scene) -> None:
    """Nothing is published twice, and every repeat is reported."""
    await scene.run(batch(0), batch(0), batch(0), batch(1, price=2.0), batch(2))
    manifests = [(m.number, m.findings) for m in scene.published(BatchClosed)]
    assert manifests == [(0, []), (1, ["batch 0 came twice"]), (2, [])]
    assert scene.files() == []


@pytest.mark.failure("F276")
@pytest.mark.parametrize("restart", ["of the process", "with a lost inbox", "of an earlier version"])
async def test_a_batch_of_another_group_than_before_has_a_finding(scene: Scene, tmp_path: Path, restart: str) -> None:
    """GROUP_NUMBER was changed. The group is in the manifest, so a lost inbox makes no difference."""
    await scene.run(batch(0), batch(1, price=2.0))
    again = scene.crashed(tmp_path / "second", group=8)
    position = again.folder / "position.json"
    if restart == "with a lost inbox":
        position.unlink()
    elif restart == "of an earlier version":
        state = json.loads(position.read_text())
        del state["topic"]["group"]
        position.write_text(json.dumps(state))
    await again.run(batch(2, group=8), batch(3, price=2.0, group=8))
    findings = [(manifest.number, manifest.group, manifest.findings) for manifest in again.published(BatchClosed)]
    found = "another group: 8, and the batch before is of group 7 (2 rows)"
    expected = [] if restart == "of an earlier version" else [found]
    assert findings == [(0, 7, []), (1, 7, []), (2, 8, expected), (3, 8, [])]


@pytest.mark.failure("F75")
async def test_a_repeat_is_a_warning_until_the_next_batch(scene: Scene) -> None:
    """An API whose cursor does not move would otherwise look like one without news."""
    async with scene.running(batch(0), batch(0), batch(1), poll="manual"):
        await until(lambda: scene.pending is not None)
        for number, expected in enumerate(({}, {"api": "batch 0 came twice"}, {})):
            scene.send(Poll, str(number))
            await until(lambda count=number: len(scene.replies()) == count + 1)  # type: ignore[misc]  # bound at once
            await until(lambda wanted=expected: scene.health.warnings == wanted)  # type: ignore[misc]  # bound at once
    assert scene.closed() == [(1, 0), (1, 1)]


@pytest.mark.failure("F76", "F77")
async def test_an_epoch_that_another_client_began_is_a_finding(scene: Scene) -> None:
    """An unexpected 0, or other rows with the number of the last batch."""
    await scene.run(batch(0), batch(1), batch(0), batch(0, price=9.0))
    assert scene.closed() == [(1, 0), (1, 1), (2, 0), (3, 0)]
    assert all("another client restarted the API" in m.findings[0] for m in scene.published(BatchClosed)[2:])


@pytest.mark.parametrize(
    "response", [(500, '{"detail": "down"}'), (200, "{"), (200, '{"batch_number": 0, "data": []}'), (200, "\udcff")]
)
async def test_an_invalid_response_is_refused_and_quarantined(scene: Scene, response: tuple[int, str]) -> None:
    """The event names its file. The expected number stays the same."""
    await scene.run(batch(0), response, batch(1))
    [refused] = scene.published(BatchRefused)
    assert (refused.epoch, refused.number, refused.status) == (1, 1, response[0])
    assert (scene.folder / "kept" / refused.body).read_bytes() == response[1].encode(errors="surrogateescape")
    assert scene.closed() == [(1, 0), (1, 1)]


async def test_a_response_of_an_earlier_process_says_nothing_about_the_api(scene: Scene) -> None:
    """It is handled, but the poller has not started before the API responds to it."""
    with scene.inbox.receive(404) as partial:
        partial.write(b"{}")
        partial.complete()
    await scene.run()
    assert len(scene.published(BatchRefused)) == 1
    assert scene.health.unavailable == {"start": "not yet started", "api": "api: the script is over"}


@pytest.mark.failure("F02", "F73")
async def test_an_interrupted_response_is_quarantined_and_the_next_number_decides(scene: Scene) -> None:
    """If n follows, nothing was lost. If n+1 follows, n was missed."""
    await scene.run(batch(0), '{"batch_nu', batch(1), '{"batch_nu', batch(3))
    assert scene.closed() == [(1, 0), (1, 1), (1, 3)]
    assert [m.number for m in scene.published(BatchMissed)] == [2]
    assert scene.files() == ["kept.part", "kept.part"]


@pytest.mark.failure("F74")
async def test_an_interrupted_response_before_the_end_was_the_last_batch(scene: Scene) -> None:
    """No later number shows that it was missed."""
    await scene.run(batch(0), '{"batch_nu', END, batch(0))
    assert [(m.epoch, m.number) for m in scene.published(BatchMissed)] == [(1, 1)]
    assert scene.closed() == [(1, 0), (2, 0)]


async def test_a_request_without_any_response_is_no_missed_batch(scene: Scene) -> None:
    """Only the next number shows whether a batch was lost."""
    await scene.run(batch(0), ResponseInterrupted("timeout"), END, batch(0))
    assert scene.published(BatchMissed) == []
    assert scene.closed() == [(1, 0), (2, 0)]


@pytest.mark.failure("F80")
@pytest.mark.parametrize("failure", ["before", "after"])
@pytest.mark.parametrize("call", [2, 3, 4])
async def test_an_outage_of_kafka_while_publishing_changes_nothing(
    scene: Scene, call: int, failure: Literal["before", "after"]
) -> None:
    """The batch is published again from its start, unless its manifest was appended. No finding results from it."""
    scene.log.failures = {call: failure}
    await scene.run(batch(0), batch(1, price=2.0))
    assert scene.closed() == [(1, 0), (1, 1)]
    assert len(scene.published(BatchClosed)) == 2
    assert [m.findings for m in scene.manifests()] == [[], []]
    assert scene.files() == []


@pytest.mark.failure("F05")
@pytest.mark.parametrize("call", [2, 3, 4])
async def test_a_crash_while_publishing_is_repaired(scene: Scene, tmp_path: Path, call: int) -> None:
    """The response is published again. Records outside the manifest's ranges are ignored."""
    scene.log.failures = {call: "after"}
    copies: list[Scene] = []

    def crash(dependency: str, reason: str) -> None:
        copies.append(scene.crashed(tmp_path / "after"))
        scene.health.stopping.set()
        del dependency, reason

    scene.health.set_unavailable = crash  # type: ignore[method-assign]  # the process crashes when Retry is reported
    await scene.run(batch(0))
    [after] = copies
    assert after.files() == [".body"]
    await after.run(batch(1, price=2.0))
    assert after.closed() == [(1, 0), (1, 1)]
    assert [m.findings for m in after.manifests()] == [[], []]
    assert after.files() == []


@pytest.mark.failure("F04")
async def test_after_the_loss_of_the_inbox_the_position_comes_from_the_topics(scene: Scene, tmp_path: Path) -> None:
    """The poller does not begin again at epoch 1."""
    await scene.run(batch(0), END, batch(0))
    after = Scene(tmp_path / "new", scene.log, scene.clock)
    await after.run(batch(1))
    assert after.closed() == [(1, 0), (2, 0), (2, 1)]


@pytest.mark.failure("F78")
async def test_after_the_loss_of_the_topics_the_position_comes_from_the_inbox(scene: Scene, tmp_path: Path) -> None:
    """The later of both positions counts."""
    await scene.run(batch(0), END, batch(0))
    after = scene.crashed(tmp_path / "after")
    after.log = type(scene.log)()
    await after.run(batch(1))
    assert after.closed() == [(2, 1)]


@pytest.mark.failure("F314")
@pytest.mark.parametrize("name", ["batches", "rows"])
async def test_a_batch_waits_for_a_topic_that_was_deleted(scene: Scene, name: str) -> None:
    """/readyz names it. The batch is published when the topic exists again, and `batches` has the dataset again."""
    deleted = f"real_estate.{name}"
    async with scene.running(batch(0), batch(1), poll="manual"):
        await until(lambda: not scene.health.unavailable)
        scene.send(Poll, "1")
        await until(lambda: scene.files() == [] and scene.closed() == [(1, 0)])
        scene.log.delete_topic(deleted)
        scene.send(Poll, "2")
        await until(lambda: "kafka" in scene.health.unavailable)
        assert f"{deleted} does not exist" in scene.health.unavailable["kafka"]
        assert scene.files() == [".body"]
        scene.log.create_topic(deleted)
        await until(lambda: scene.files() == [])
    assert [each.number for each in scene.published(BatchClosed)][-1] == 1
    assert scene.log.topics["real_estate.rows"][-1].key == "real_estate/1/1"
    assert len(scene.published(DatasetDeclared)) == 1


@pytest.mark.failure("F314")
async def test_a_topic_that_is_recreated_between_two_batches_has_the_dataset(scene: Scene) -> None:
    """Also if no call met the time without it: consumers of the new topic need the declaration."""
    async with scene.running(batch(0), batch(1), poll="manual"):
        await until(lambda: not scene.health.unavailable)
        scene.send(Poll, "1")
        await until(lambda: scene.files() == [] and scene.closed() == [(1, 0)])
        scene.log.delete_topic("real_estate.batches")
        scene.log.create_topic("real_estate.batches")
        scene.send(Poll, "2")
        await until(lambda: scene.closed() == [(1, 1)])
    assert len(scene.published(DatasetDeclared)) == 1


@pytest.mark.failure("F31")
async def test_a_batch_that_no_record_can_hold_is_dead_lettered(scene: Scene) -> None:
    """The batch is refused, its response is quarantined, and the next batch is fetched."""
    await scene.run(batch(0), batch(1, city="x" * 9_000_000), batch(2))
    [letter] = [decode(record).payload for record in scene.log.topics["real_estate.deadletter"]]
    assert isinstance(letter, RecordDeadlettered)
    assert (letter.service, letter.reason, letter.first_key) == ("poller", "too large for its topic", "real_estate/1/1")
    assert len(letter.value) < 100_000
    [refused] = scene.published(BatchRefused)
    assert (refused.number, scene.files()) == (1, ["kept.body"])
    assert scene.closed() == [(1, 0), (1, 2)]
    assert scene.published(BatchMissed) == []


@pytest.mark.failure("F89")
async def test_three_dead_letters_in_a_row_stop_the_poller(scene: Scene) -> None:
    """Then the fault is not in the batches."""
    async with scene.running(*(batch(n, city="x" * 9_000_000) for n in range(4))):
        await until(lambda: bool(scene.health.stop_reason))
    assert [refused.number for refused in scene.published(BatchRefused)] == [0, 1, 2]
    assert "too large" in scene.health.unavailable["poller"]


async def test_commands_are_refused_at_the_end_of_the_data(scene: Scene) -> None:
    """With AT_END=stop no command can take effect."""
    async with scene.running(batch(0), END, at_end="stop"):
        await until(lambda: scene.health.activity == "at the end of the data")
        for number, kind in enumerate((Poll, Pause, Resume)):
            scene.send(kind, str(number))
        await until(lambda: len(scene.replies()) == 3)
    assert {text for _, text in scene.replies()} == {"the API has returned all batches (AT_END=stop)"}


@pytest.mark.failure("F30")
async def test_a_command_from_before_the_start_is_refused(scene: Scene) -> None:
    """The situation that it was meant for may have changed."""
    scene.send(Poll, "1")
    async with scene.running(poll="manual"):
        await until(lambda: len(scene.replies()) == 1)
    assert scene.replies() == [("1", "it was sent while the poller was down")]


@pytest.mark.failure("F308")
async def test_a_poller_that_takes_over_ignores_the_commands_from_before(scene: Scene) -> None:
    """The other poller handled and answered them, or they were sent while none worked: then they are refused."""
    another_works = True

    def lock() -> None:
        if another_works:
            raise Retry("inbox", "another poller has the lock")

    scene.inbox.lock = lock  # type: ignore[method-assign]  # the lock of the other poller
    async with scene.running(batch(0), poll="manual"):
        await until(lambda: "inbox" in scene.health.unavailable)
        scene.send(Poll, "answered")
        scene.send(Poll, "not answered")
        answers = [Reply("answered", accepted=True, text="by the other")]
        Topics(DATASET, scene.log, scene.clock).publish_replies(answers)
        another_works = False
        await until(lambda: "not answered" in dict(scene.replies()))
        await asyncio.sleep(0.3)
    assert dict(scene.replies())["not answered"] == "it was sent while the poller was down"
    assert [command for command, _ in scene.replies()] == ["answered", "not answered"]
    assert scene.closed() == []


@pytest.mark.failure("F28")
async def test_a_stored_reply_is_published_after_a_crash(scene: Scene) -> None:
    """The effect of a command and its reply are stored together, before the reply is published."""
    reply = Reply("1", accepted=True, text="paused")
    scene.inbox.save_state(PollerState(poll_mode=PollMode(paused=True), replies=(reply,)))
    async with scene.running():
        await until(lambda: scene.replies() == [("1", "paused")] and not scene.inbox.load_state().replies)


async def test_a_reply_is_published_after_an_outage_of_kafka(scene: Scene) -> None:
    """It is published once."""
    async with scene.running(poll="manual"):
        await until(lambda: not scene.health.unavailable)
        scene.log.failures = {scene.log.calls + 2: "before"}
        scene.send(Pause, "1")
        await until(lambda: len(scene.replies()) == 1)
        await until(lambda: not scene.inbox.load_state().replies)
    assert scene.replies() == [("1", "no batch is fetched until polling is resumed")]


async def test_a_command_has_one_reply_though_it_is_read_again(scene: Scene) -> None:
    """Its reply was stored before a crash, and the topic is read from its beginning before the reply is in it."""
    reply = Reply("1", accepted=True, text="fetched")
    scene.inbox.save_state(PollerState(poll_mode=PollMode("manual", paused=True), replies=(reply,)))
    scene.send(Poll, "1")
    async with scene.running(poll="manual"):
        await until(lambda: len(scene.replies()) == 1)
        scene.send(Poll, "1")
        scene.send(Pause, "2")
        await until(lambda: len(scene.replies()) == 2)
    assert [command for command, _ in scene.replies()] == ["1", "2"]


@pytest.mark.failure("F309")
async def test_a_response_that_is_too_large_is_refused_without_parsing_it(scene: Scene) -> None:
    """It is quarantined, the reason names the setting, and polling continues."""
    scene.max_body = len(batch(0)[1]) + 100
    await scene.run(batch(0), batch(1, city="x" * 200), batch(2))
    [refused] = scene.published(BatchRefused)
    limit = f"{scene.max_body:,}"
    assert refused.reason.startswith(f"GET /data answered 200 OK with more than {limit} bytes (POLLER_MAX_BODY); ")
    assert (scene.folder / "kept" / refused.body).exists()
    assert scene.closed() == [(1, 0), (1, 2)]


@pytest.mark.failure("F310")
async def test_a_response_that_ends_the_process_is_parsed_three_times(scene: Scene, tmp_path: Path) -> None:
    """As by a limit of its memory. Then it is quarantined, the reason names the attempts, and polling continues."""
    await scene.run(batch(0))
    kills = [0]
    try:
        for number in range(3):
            fault_point.install(partial(killed_at, "poller.parsing", kills))
            scene = scene.crashed(tmp_path / f"{number}")
            with pytest.raises(BaseExceptionGroup, check=lambda group: group.subgroup(Killed) is not None):
                await scene.run(*[batch(1)] if number == 0 else [])
    finally:
        fault_point.install(None)
    assert kills == [3]
    after = scene.crashed(tmp_path / "after")
    await after.run(batch(2))
    [refused] = after.published(BatchRefused)
    assert "the poller ended 3 times while it parsed" in refused.reason
    assert (after.folder / "kept" / refused.body).read_bytes() == batch(1)[1].encode()
    assert after.closed() == [(1, 0), (1, 2)]


@pytest.mark.failure("F310")
async def test_attempts_that_return_are_not_counted(scene: Scene, tmp_path: Path) -> None:
    """An outage of Kafka over four restarts is no fault of the response."""
    await scene.run(batch(0))
    for number in range(4):
        scene = scene.crashed(tmp_path / f"{number}")
        scene.log.failures = {scene.log.calls + n: "before" for n in range(1, 50)}
        async with scene.running(*[batch(1)] if number == 0 else []):
            await until(lambda health=scene.health: "kafka" in health.unavailable)  # type: ignore[misc]  # bound at once
    scene = scene.crashed(tmp_path / "after")
    scene.log.failures = {}
    await scene.run(batch(2))
    assert scene.closed() == [(1, 0), (1, 1), (1, 2)]


@pytest.mark.failure("F401")
async def test_the_beginning_of_a_refused_body_is_in_the_reason(scene: Scene) -> None:
    """Once, in one line that a terminal can show, whatever the reason is."""
    scene.max_body = 5_000
    bodies = {
        "a batch without rows": (200, '{"batch_number": 0, \n "data": [], "note": "\\u0000"}'),
        "another group": (200, json.dumps({"group_number": 9, "batch_number": 0, "data": [{"bed": 1}]})),
        "a large body": (200, '{"batch_number": 0, "data": ["' + "x" * 5_000),
        "an escape sequence": (500, "\x1b[2J"),
        "nothing": (503, ""),
    }
    await scene.run(*bodies.values())
    reasons = dict(zip(bodies, (refused.reason for refused in scene.published(BatchRefused)), strict=True))
    assert reasons["a batch without rows"] == (
        r'batch 0 has no rows; the body begins with {"batch_number": 0, "data": [], "note": "\u0000"}'
    )
    assert "; the body begins with {" in reasons["another group"]
    assert reasons["a large body"].endswith("x" * 100)
    assert len(reasons["a large body"]) < 400
    assert reasons["an escape sequence"] == r"GET /data answered 500 Internal Server Error: \x1b[2J"
    assert reasons["nothing"] == "GET /data answered 503 Service Unavailable without a body"


@pytest.mark.failure("F402")
async def test_another_group_or_day_is_a_finding(scene: Scene) -> None:
    """Rows of another group are refused, and the next batch has the finding. A day was not asked for."""
    of_a_day = (200, json.dumps({"day": "Tuesday", **json.loads(batch(1, price=5.0)[1])}))
    await scene.run(batch(0, group=9), batch(0), of_a_day)
    assert [manifest.findings for manifest in scene.manifests()] == [
        ["refused: batch 0 is of group 9, not of group 7"],
        ['another day: the batch is of day "Tuesday", and none was asked for'],
    ]


class Killed(BaseException):
    """The process ends here."""


def killed_at(point: str, kills: list[int], reached: str) -> None:
    """A fault that ends the process at one fault point, and counts."""
    if reached == point:
        kills[0] += 1
        raise Killed
