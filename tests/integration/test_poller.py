"""The poller as a process: with the real source, and with an API that misbehaves."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import pytest

from support.batches import batch_manifests
from support.faulty import kills
from support.hostile import SPELLINGS, HostileApi, Scripted, batch, detail, half, hang_up, hostile_api, silence
from support.http import metric
from support.listings import write_csv
from support.testbed import Process, Testbed, free_port, http_status, wait_until
from veleta.batches import BatchReader, Rows
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
from veleta_local.errors import LocalError
from veleta_local.run import Run
from veleta_local.send_command import send_command
from veleta_source.domain.row_generator import RowGenerator

ROWS = 40


@pytest.fixture
def testbed(backing: Run, tmp_path: Path) -> Testbed:
    """Topics for one test. The poller needs no database."""
    testbed = Testbed(backing, tmp_path)
    testbed.prepare_kafka()
    return testbed


@pytest.fixture(scope="module")
def csv(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("listings") / "listings.csv"
    write_csv(path, ROWS, seed=5)
    return path


@contextmanager
def running_source(testbed: Testbed, csv: Path) -> Iterator[Process]:
    """A source that is ready."""
    with testbed.service("source", csv=csv, state=testbed.folder / "source") as source:
        source.wait_until_ready()
        yield source


@contextmanager
def running_poller(testbed: Testbed, url: str, **settings: Any) -> Iterator[Process]:
    """A poller of this API."""
    defaults: dict[str, Any] = {"group_number": 7, "poll_every": 0.05, "inbox": testbed.folder / "inbox"}
    with testbed.service("poller", None, api_url=url, **{**defaults, **settings}) as poller:
        yield poller


def activity(process: Process) -> str:
    """The activity in /readyz. Empty if the process is not ready."""
    if http_status(f"{process.url}/readyz") != 200:
        return ""
    with urlopen(f"{process.url}/readyz", timeout=5) as response:
        return str(json.loads(response.read())["doing"])


def is_at_end(poller: Process) -> bool:
    return "end of the data" in activity(poller)


def manifests(testbed: Testbed) -> list[BatchClosed]:
    """The valid manifest of each batch, in the order of closing."""
    payloads = [event.payload for event in batch_manifests(testbed.events("batches")).values()]
    return [payload for payload in payloads if isinstance(payload, BatchClosed)]


def rows_of(testbed: Testbed, manifest: BatchClosed) -> Rows:
    """All rows of a batch. The reader compares count and digest with the manifest."""
    return [row for chunk in BatchReader(testbed.log).chunks(manifest) for row in chunk]


@pytest.mark.failure("F85")
def test_all_batches_arrive_complete_and_in_order(testbed: Testbed, csv: Path) -> None:
    """With AT_END=stop the poller stays ready at the end, with an empty inbox."""
    with running_source(testbed, csv) as source, running_poller(testbed, source.url, at_end="stop") as poller:
        wait_until(lambda: is_at_end(poller))
        closed = manifests(testbed)
        assert [(m.epoch, m.number, m.rows, m.findings) for m in closed] == [(1, n, ROWS, []) for n in range(6)]
        assert sum(len(rows_of(testbed, m)) for m in closed) == 6 * ROWS
        assert {m.dataset_digest for m in closed} == {testbed.dataset.digest}
        [declared] = [e.payload for e in testbed.events("batches") if isinstance(e.payload, DatasetDeclared)]
        assert declared.digest == testbed.dataset.digest
        assert not list((testbed.folder / "inbox").glob("*.body"))
        with urlopen(f"{source.url}/data?group_number=99", timeout=10) as response:
            assert rows_of(testbed, closed[0]) == json.loads(response.read())["data"]
        assert poller.stop() == 0


@pytest.mark.failure("F86")
def test_polling_is_controlled_from_the_shell(testbed: Testbed, csv: Path) -> None:
    """With POLL=manual a poll fetches one batch, and a resume all. A pause survives kill -9."""

    def send(kind: type[Command]) -> str:
        return send_command(testbed.kafka_as("operator"), kind, testbed.dataset.name)

    settings = {"at_end": "stop", "poll": "manual"}
    with running_source(testbed, csv) as source, running_poller(testbed, source.url, **settings) as poller:
        poller.wait_until_ready()
        assert send(Poll) == "the next batch is fetched now, if there is one"
        wait_until(lambda: len(manifests(testbed)) == 1)
        send(Pause)
        poller.kill()
        poller.start()
        poller.wait_until_ready()
        send(Poll)
        wait_until(lambda: len(manifests(testbed)) == 2)
        assert "paused" in activity(poller)
        send(Resume)
        wait_until(lambda: is_at_end(poller))
        assert len(manifests(testbed)) == 6
        with pytest.raises(LocalError, match="refused: the API has returned all batches"):
            send(Poll)
    replied = [e.payload.command for e in testbed.events("commands") if isinstance(e.payload, CommandAnswer)]
    assert replied == [e.id for e in testbed.events("commands") if isinstance(e.payload, Command)]


def test_events_of_a_batch_have_one_trace_and_name_their_cause(testbed: Testbed, csv: Path) -> None:
    """batch.opened is the cause of the rows and the manifest."""
    with running_source(testbed, csv) as source, running_poller(testbed, source.url, at_end="stop") as poller:
        wait_until(lambda: is_at_end(poller))
    opened = {e.id: e.trace for e in testbed.events("batches") if e.type == "batch.opened"}
    others = [
        e for e in (*testbed.events("rows"), *testbed.events("batches")) if e.type in ("batch.rows", "batch.closed")
    ]
    assert len(opened) == 6
    assert all(opened[str(event.cause)] == event.trace for event in others)


def test_restart_begins_the_next_epoch_with_the_same_rows(testbed: Testbed, csv: Path) -> None:
    """The digests of both epochs are equal."""
    with running_source(testbed, csv) as source, running_poller(testbed, source.url, at_end="restart"):
        closed = wait_until(lambda: len(m := manifests(testbed)) >= 12 and m)
    assert closed
    assert [(m.epoch, m.number) for m in closed[:12]] == [(e, n) for e in (1, 2) for n in range(6)]
    assert [m.digest for m in closed[:6]] == [m.digest for m in closed[6:12]]
    assert not any(m.findings for m in closed)


@pytest.mark.failure("F443", "F444")
def test_kills_at_a_restart_skip_no_generated_epoch(testbed: Testbed) -> None:
    """Of the poller before and after it restarts the API, then of the source. The rows are those of epochs 2 and 3."""
    generated: dict[str, Any] = {"csv": "", "scale": 0.001, "seed": 5, "state": testbed.folder / "source"}
    given: dict[str, Any] = {"group_number": 7, "poll_every": 0.05, "inbox": testbed.folder / "inbox"}
    points = kills(["poller.restarting", "poller.restarted"])
    with (
        testbed.service("source", **generated) as source,
        testbed.service("poller", faults=points, api_url=source.url, **given) as poller,
    ):
        poller.run_until(lambda: not poller.faults(), 60, "both kills")
        source.kill()
        source.start()
        poller.run_until(lambda: (3, 5) in batch_manifests(testbed.events("batches")), 60, "the third epoch")
    closed = {(each.epoch, each.number): each for each in manifests(testbed)}
    for epoch in (1, 2, 3):
        for number, rows in RowGenerator(testbed.dataset, 0.001, 5, epoch).batches():
            assert rows_of(testbed, closed[epoch, number]) == list(rows)


@pytest.mark.failure("F79")
def test_a_second_poller_waits_for_the_lock(testbed: Testbed, csv: Path) -> None:
    """It sends no request and reports why. When the first one dies, it continues at the same position."""
    with running_source(testbed, csv) as source, running_poller(testbed, source.url, poll_every=600) as first:
        first.wait_until_ready()
        wait_until(lambda: len(manifests(testbed)) == 1)
        with running_poller(testbed, source.url, at_end="stop") as second:
            wait_until(lambda: "another poller" in second.log.read_text())
            assert http_status(f"{second.url}/readyz") == 503
            assert len(manifests(testbed)) == 1
            first.kill()
            wait_until(lambda: is_at_end(second))
    assert [(m.epoch, m.number) for m in manifests(testbed)] == [(1, n) for n in range(6)]


@pytest.mark.failure("F24")
def test_an_unreachable_api_is_retried(testbed: Testbed) -> None:
    """/readyz names "api". Batches come as soon as it is reachable."""
    port = free_port()
    with running_poller(testbed, f"http://127.0.0.1:{port}", poll_every=600) as poller:
        wait_until(lambda: '"dependency": "api"' in poller.log.read_text())
        assert http_status(f"{poller.url}/readyz") == 503
        with hostile_api([batch(0)], port):
            wait_until(lambda: len(manifests(testbed)) == 1)
            assert http_status(f"{poller.url}/readyz") == 200


def run_script(testbed: Testbed, script: list[Scripted], **settings: object) -> tuple[HostileApi, float]:
    """The API after a poller has requested the whole script, and the poller's count of interrupted responses."""
    with hostile_api(script) as (api, url), running_poller(testbed, url, **settings) as poller:
        wait_until(lambda: api.requests > len(script))
        return api, metric(poller.url, 'veleta_poller_responses_total{outcome="interrupted"}')


def outcome(testbed: Testbed) -> tuple[list[str], list[str], list[str]]:
    """The batches that were closed, missed and refused, as epoch/number."""
    events = [event.payload for event in testbed.events("batches")]
    return (
        [f"{p.epoch}/{p.number}" for p in manifests(testbed) if rows_of(testbed, p)],
        [f"{p.epoch}/{p.number}" for p in events if isinstance(p, BatchMissed)],
        [f"{p.epoch}/{p.number}" for p in events if isinstance(p, BatchRefused) and p.status != 503],
    )


@pytest.mark.failure("F03", "F75", "F76")
def test_gaps_repeats_and_new_epochs(testbed: Testbed) -> None:
    """The number and the digest of a batch show what happened at the API."""
    run_script(testbed, [batch(0), batch(2), batch(2), batch(3), batch(3, price=5.0), batch(0)])
    assert outcome(testbed) == (
        ["1/0", "1/2", "1/3", "2/3", "3/0"],
        ["1/1", "2/0", "2/1", "2/2"],
        [],
    )
    findings = {f"{m.epoch}/{m.number}": m.findings for m in manifests(testbed)}
    assert any("batch 2 came twice" in finding for finding in findings["1/3"])
    assert any("other rows" in finding for finding in findings["2/3"])
    assert any("another client restarted the API" in finding for finding in findings["3/0"])


@pytest.mark.failure("F07")
def test_invalid_responses_are_refused_and_quarantined(testbed: Testbed) -> None:
    """The event names the file of the body."""
    invalid: list[tuple[int, bytes]] = [
        (500, b"Internal Server Error"),
        (200, b'{"batch_number": 1, "da'),
        (200, b'{"batch_number": 1}'),
        (200, b'{"batch_number": 1, "data": []}'),
    ]
    run_script(testbed, [batch(0), *invalid, batch(1)])
    assert outcome(testbed) == (["1/0", "1/1"], [], ["1/1"] * 4)
    refused = [e.payload for e in testbed.events("batches") if isinstance(e.payload, BatchRefused)]
    bodies = [(testbed.folder / "inbox" / "kept" / r.body).read_bytes() for r in refused[:4]]
    assert bodies == [body for _, body in invalid]


@pytest.mark.failure("F02")
def test_an_interrupted_request_is_not_repeated(testbed: Testbed) -> None:
    """It is one GET, and the number of the next batch shows that its batch was missed."""
    script = [batch(0), hang_up, batch(2), half, batch(4), silence, batch(6)]
    _, interrupted = run_script(testbed, script, read_timeout=1)
    assert outcome(testbed) == (["1/0", "1/2", "1/4", "1/6"], ["1/1", "1/3", "1/5"], [])
    assert len(list((testbed.folder / "inbox" / "kept").glob("*.part"))) == 1
    assert interrupted == 3


@pytest.mark.failure("F27", "F82")
def test_the_end_of_the_data_is_recognized_in_every_spelling(testbed: Testbed) -> None:
    """Each begins a new epoch. A restart that is not confirmed is repeated."""
    ends = [detail(text, status) for text in SPELLINGS for status in (200, 400)]
    api, _ = run_script(testbed, [scripted for end in ends for scripted in (batch(0), end)], at_end="restart")
    assert outcome(testbed) == ([f"{epoch}/0" for epoch in range(1, 9)], [], [])
    assert api.restarts == len(ends) + 1
