"""Poller as a process: on the real source, and on an API that does what an API should not."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import pytest

from support.hostile import END, Answer, Hostile, answering, batch, detail, half, hang_up, silence
from support.listings import write_csv
from support.world import Process, World, eventually, free_port, http_status
from veleta.batches import BatchReader, Rows, batch_manifests
from veleta.events.catalogue import (
    BatchClosed,
    BatchMissed,
    BatchRefused,
    Command,
    CommandAnswer,
    DatasetDeclared,
    Pause,
    Poll,
    Resume,
)
from veleta_local import asking
from veleta_local.errors import LocalError
from veleta_local.run import Run
from veleta_prepare.topics import make_topics

ROWS = 40


@pytest.fixture
def world(backing: Run, tmp_path: Path) -> World:
    """Topics of its own for each test; the poller needs no database."""
    made = World(backing, tmp_path)
    make_topics(made.bootstrap, made.dataset.name)
    return made


@pytest.fixture(scope="module")
def csv(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("listings") / "listings.csv"
    write_csv(path, ROWS, seed=5)
    return path


@contextmanager
def sourced(world: World, csv: Path) -> Iterator[Process]:
    """A source that is ready."""
    with world.service("source", csv=csv, state=world.folder / "source") as source:
        source.ready()
        yield source


@contextmanager
def polling(world: World, url: str, **settings: Any) -> Iterator[Process]:
    """A poller of this address."""
    defaults: dict[str, Any] = {"group_number": 7, "poll_every": 0.05, "inbox": world.folder / "inbox"}
    with world.service("poller", None, api_url=url, **{**defaults, **settings}) as poller:
        yield poller


def doing(process: Process) -> dict[str, Any]:
    """What /readyz says, whatever its status."""
    if http_status(f"{process.url}/readyz") != 200:
        return {}
    with urlopen(f"{process.url}/readyz", timeout=5) as answer:
        return dict(json.loads(answer.read()))


def closed(world: World) -> list[BatchClosed]:
    """The manifest that counts for each batch, in the order of closing."""
    payloads = [event.payload for event in batch_manifests(world.events("batches")).values()]
    return [payload for payload in payloads if isinstance(payload, BatchClosed)]


def rows_of(world: World, manifest: BatchClosed) -> Rows:
    """All rows of a batch: the reader has compared count and digest with the manifest."""
    return [row for chunk in BatchReader(world.log).chunks(manifest) for row in chunk]


def at_the_end(poller: Process) -> bool:
    return "end of the data" in doing(poller).get("doing", "")


def test_all_batches_arrive_complete_and_in_order(world: World, csv: Path) -> None:
    """With AT_END=stop the poller stays ready at the end, with an empty inbox."""
    with sourced(world, csv) as source, polling(world, source.url, at_end="stop") as poller:
        eventually(lambda: at_the_end(poller))
        found = closed(world)
        assert [(m.epoch, m.number, m.rows, m.findings) for m in found] == [(1, n, ROWS, []) for n in range(6)]
        assert sum(len(rows_of(world, m)) for m in found) == 6 * ROWS
        assert {m.dataset_digest for m in found} == {world.dataset.digest}
        [declared] = [e.payload for e in world.events("batches") if isinstance(e.payload, DatasetDeclared)]
        assert declared.digest == world.dataset.digest
        assert not list((world.folder / "inbox").glob("*.body"))
        with urlopen(f"{source.url}/data?group_number=99", timeout=10) as answer:
            assert rows_of(world, found[0]) == json.loads(answer.read())["data"]
        assert poller.stop() == 0


@pytest.mark.failure("F28")
def test_the_tap_is_turned_from_the_shell(world: World, csv: Path) -> None:
    """With POLL=manual a poll takes one batch, a resume all; after kill -9 a pause still holds."""
    how = {"at_end": "stop", "poll": "manual"}

    def ask(kind: type[Command]) -> str:
        return asking.ask(world.bootstrap, kind, world.dataset.name, "")

    with sourced(world, csv) as source, polling(world, source.url, **how) as poller:
        poller.ready()
        assert ask(Poll) == "the next batch is taken now, if there is one"
        eventually(lambda: len(closed(world)) == 1)
        ask(Pause)
        poller.kill()
        poller.start()
        poller.ready()
        ask(Poll)
        eventually(lambda: len(closed(world)) == 2)
        assert "paused" in doing(poller)["doing"]
        ask(Resume)
        eventually(lambda: at_the_end(poller))
        assert len(closed(world)) == 6
        with pytest.raises(LocalError, match="refused: all batches were handed out"):
            ask(Poll)
    answered = [e.payload.command for e in world.events("commands") if isinstance(e.payload, CommandAnswer)]
    assert answered == [e.id for e in world.events("commands") if isinstance(e.payload, Command)]


def test_events_of_a_batch_have_one_trace_and_name_their_cause(world: World, csv: Path) -> None:
    """Rows and manifest follow from batch.opened."""
    with sourced(world, csv) as source, polling(world, source.url, at_end="stop") as poller:
        eventually(lambda: at_the_end(poller))
    opened = {e.id: e.trace for e in world.events("batches") if e.type == "batch.opened"}
    others = [e for e in (*world.events("rows"), *world.events("batches")) if e.type in ("batch.rows", "batch.closed")]
    assert len(opened) == 6
    assert all(opened[str(event.cause)] == event.trace for event in others)


def test_restart_opens_the_next_epoch_with_the_same_rows(world: World, csv: Path) -> None:
    """The seed's way: the same digests come again."""
    with sourced(world, csv) as source, polling(world, source.url, at_end="restart"):
        found = eventually(lambda: len(m := closed(world)) >= 12 and m)
    assert found
    assert [(m.epoch, m.number) for m in found[:12]] == [(e, n) for e in (1, 2) for n in range(6)]
    assert [m.digest for m in found[:6]] == [m.digest for m in found[6:12]]
    assert not any(m.findings for m in found)


@pytest.mark.failure("F04")
def test_a_second_poller_stands_by(world: World, csv: Path) -> None:
    """It asks nothing and says why; when the first one dies it goes on where that one was."""
    with sourced(world, csv) as source, polling(world, source.url, poll_every=600) as first:
        first.ready()
        eventually(lambda: len(closed(world)) == 1)
        with polling(world, source.url, at_end="stop") as second:
            eventually(lambda: "another poller" in second.log.read_text())
            assert http_status(f"{second.url}/readyz") == 503
            assert len(closed(world)) == 1
            first.kill()
            eventually(lambda: at_the_end(second))
    assert [(m.epoch, m.number) for m in closed(world)] == [(1, n) for n in range(6)]


@pytest.mark.failure("F24")
def test_an_api_that_is_not_there_is_waited_for(world: World) -> None:
    """/readyz says that it waits for "api"; once it answers, batches come."""
    port = free_port()
    with polling(world, f"http://127.0.0.1:{port}") as poller:
        eventually(lambda: '"waits_for": "api"' in poller.log.read_text())
        assert http_status(f"{poller.url}/readyz") == 503
        with answering([batch(0)], port):
            eventually(lambda: len(closed(world)) == 1)
            assert http_status(f"{poller.url}/readyz") == 200


def polled(world: World, script: list[Answer], **settings: object) -> Hostile:
    """The API after a poller has heard the whole script."""
    with answering(script) as (api, url), polling(world, url, **settings) as poller:
        eventually(lambda: api.asked > len(script))
        with urlopen(f"{poller.url}/metrics", timeout=5) as metrics:
            api.metrics = metrics.read().decode()
    return api


def outcome(world: World) -> tuple[list[str], list[str], list[str]]:
    """What was closed, missed and refused: epoch/number."""
    events = [event.payload for event in world.events("batches")]
    return (
        [f"{p.epoch}/{p.number}" for p in closed(world) if rows_of(world, p)],
        [f"{p.epoch}/{p.number}" for p in events if isinstance(p, BatchMissed)],
        [f"{p.epoch}/{p.number}" for p in events if isinstance(p, BatchRefused) and p.status != 503],
    )


@pytest.mark.failure("F03")
def test_gaps_repeats_and_new_epochs(world: World) -> None:
    """The number and the digest tell what happened at the API."""
    polled(world, [batch(0), batch(2), batch(2), batch(3), batch(3, price=5.0), batch(0)])
    assert outcome(world) == (
        ["1/0", "1/2", "1/3", "2/3", "3/0"],
        ["1/1", "2/0", "2/1", "2/2"],
        [],
    )
    findings = {f"{m.epoch}/{m.number}": m.findings for m in closed(world)}
    assert any("batch 2 came twice" in finding for finding in findings["1/3"])
    assert any("other rows" in finding for finding in findings["2/3"])
    assert any("restarted elsewhere" in finding for finding in findings["3/0"])


@pytest.mark.failure("F07")
def test_what_is_no_batch_is_refused_and_kept(world: World) -> None:
    """The body lies under the name that the event gives."""
    bad: list[Answer] = [
        (500, b"Internal Server Error"),
        (200, b'{"batch_number": 1, "da'),
        (200, b'{"batch_number": 1}'),
    ]
    polled(world, [batch(0), *bad, (200, b'{"batch_number": 1, "data": []}'), batch(1)])
    assert outcome(world) == (["1/0", "1/1"], [], ["1/1"] * 4)
    refused = [e.payload for e in world.events("batches") if isinstance(e.payload, BatchRefused)]
    bodies = [(world.folder / "inbox" / "kept" / r.body).read_bytes() for r in refused[:4]]
    assert bodies == [*(answer[1] for answer in bad if isinstance(answer, tuple)), b'{"batch_number": 1, "data": []}']


@pytest.mark.failure("F02")
def test_no_question_is_repeated_blindly(world: World) -> None:
    """A GET that broke off is one GET: the next answer's number tells that its batch was missed."""
    api = polled(world, [batch(0), hang_up, batch(2), half, batch(4), silence, batch(6)], read_timeout=1)
    assert outcome(world) == (["1/0", "1/2", "1/4", "1/6"], ["1/1", "1/3", "1/5"], [])
    assert len(list((world.folder / "inbox" / "kept").glob("*.part"))) == 1
    assert 'veleta_poller_answers_total{outcome="interrupted"} 3.0' in api.metrics


@pytest.mark.failure("F27")
def test_the_end_in_every_spelling(world: World) -> None:
    """Each time a new epoch begins; a restart that is not confirmed is asked for again."""
    spellings = [END, END.upper(), f"{END}.", "Ya se recolecto toda la informacion minima necesaria"]
    ends = [detail(text, status) for text in spellings for status in (200, 400)]
    api = polled(world, [answer for end in ends for answer in (batch(0), end)], at_end="restart")
    assert outcome(world) == ([f"{epoch}/0" for epoch in range(1, 9)], [], [])
    assert api.restarted == len(ends) + 1
