"""What the loader decides about rows and events, without a database."""

from typing import Any

import pytest

from support.batches import TIME, publish_batch
from support.listings import api_rows
from veleta.adapters.memory import MemoryLog, MemoryTransactions, MemoryUnitOfWork
from veleta.batches import BatchReader
from veleta.dataset import load_dataset, parse_dataset
from veleta.errors import Reject
from veleta.events.catalogue import BatchMissed, BatchOpened, BatchPayload, BatchRefused, DatasetDeclared
from veleta.events.envelope import Event
from veleta_loader.domain.sorting import Sorting
from veleta_loader.handlers import BatchLoader

DATASET = load_dataset("real_estate")
ROWS = api_rows(0, 250, seed=1)


class FakeTables:
    """The loader's tables as lists."""

    def __init__(self) -> None:
        self.lines: dict[tuple[int, int], dict[str, Any]] = {}
        self.raw: list[dict[str, Any]] = []
        self.clean: list[dict[str, Any]] = []
        self.files: list[str] = []
        self.texts: dict[str, str] = {}

    def batch(self, epoch: int, number: int) -> dict[str, Any] | None:
        return self.lines.get((epoch, number))

    def note(self, epoch: int, number: int, **values: Any) -> None:
        fresh = {"state": None, "digest": None, "finding": None}
        self.lines[epoch, number] = {**fresh, **self.lines.get((epoch, number), {}), **values}

    def abandon(self, epoch: int, number: int) -> None:
        for key, line in self.lines.items():
            if key != (epoch, number) and line["state"] == "open":
                line["state"] = "abandoned"

    def insert(self, raw: list[dict[str, Any]], clean: list[dict[str, Any]]) -> None:
        self.raw += raw
        self.clean += clean

    def declare(self, declared: DatasetDeclared, at: object) -> None:
        self.files.append(f"{declared.digest} at {at}")
        self.texts[declared.digest] = declared.toml

    def declared(self, digest: str) -> str | None:
        return self.texts.get(digest)


class MemoryLoaderUnitOfWork(MemoryUnitOfWork):
    def __init__(self) -> None:
        super().__init__()
        self.tables = FakeTables()


class Bench:
    """A loader on memory."""

    def __init__(self) -> None:
        self.log = MemoryLog()
        self.cleared: list[tuple[int, int]] = []
        self.loading = BatchLoader(
            DATASET,
            BatchReader(self.log),
            clear=lambda epoch, number: self.cleared.append((epoch, number)),
            clock=lambda: TIME,
        )
        self._transactions = MemoryTransactions(MemoryLoaderUnitOfWork())

    @property
    def tables(self) -> FakeTables:
        return self._transactions.committed.tables

    async def handle(self, payload: BatchPayload | DatasetDeclared) -> None:
        event = Event("id", "poller", TIME, payload)
        self.loading.prepare(event)
        await self._transactions.run(lambda uow: self.loading.apply(event, None, uow))

    async def refuse(self, payload: BatchPayload, error: Exception) -> None:
        event = Event("id", "poller", TIME, payload)
        await self._transactions.run(lambda uow: self.loading.on_dead_letter(event, error, uow))


@pytest.fixture
def bench() -> Bench:
    return Bench()


def opened(number: int, digest: str = "d") -> BatchOpened:
    return BatchOpened(dataset=DATASET.name, epoch=1, number=number, rows=1, digest=digest)


async def test_a_closed_batch_is_loaded_once(bench: Bench) -> None:
    """The same manifest again changes nothing: it comes again when the poller published twice."""
    manifest = publish_batch(bench.log, DATASET, 1, 0, ROWS)
    await bench.handle(manifest)
    await bench.handle(manifest)
    assert [row["row_no"] for row in bench.tables.raw] == list(range(250))
    line = bench.tables.lines[1, 0]
    assert (line["state"], line["received"], line["cleaned"]) == ("loaded", 250, len(bench.tables.clean))
    assert line["cleaned"] + sum(line["rejected"].values()) == 250


@pytest.mark.failure("F37")
async def test_the_same_batch_with_another_digest_is_a_conflict(bench: Bench) -> None:
    """It is never skipped and never loaded: the batch keeps its rows, and the finding stands in the ledger."""
    await bench.handle(publish_batch(bench.log, DATASET, 1, 0, ROWS))
    other = publish_batch(bench.log, DATASET, 1, 0, ROWS[:10])
    with pytest.raises(Reject, match="conflict") as error:
        await bench.handle(other)
    await bench.refuse(other, error.value)
    assert bench.tables.lines[1, 0]["state"] == "loaded"
    assert "conflict" in bench.tables.lines[1, 0]["finding"]
    assert len(bench.tables.raw) == 250


async def test_a_batch_that_does_not_match_its_manifest_is_refused(bench: Bench) -> None:
    """As a whole: never one chunk skipped."""
    manifest = publish_batch(bench.log, DATASET, 1, 0, ROWS, chunks=4)
    with pytest.raises(Reject, match="manifest does not match") as error:
        await bench.handle(manifest)
    await bench.refuse(manifest, error.value)
    assert bench.tables.lines[1, 0]["state"] == "refused"


@pytest.mark.failure("F11")
async def test_an_open_batch_is_abandoned_when_the_next_opens(bench: Bench) -> None:
    """Nothing waits without end."""
    await bench.handle(opened(0))
    await bench.handle(opened(1))
    assert [line["state"] for line in bench.tables.lines.values()] == ["abandoned", "open"]


async def test_opening_again_leaves_a_loaded_batch_loaded(bench: Bench) -> None:
    """The poller publishes from the start again after a crash."""
    manifest = publish_batch(bench.log, DATASET, 1, 0, ROWS)
    await bench.handle(manifest)
    await bench.handle(opened(0, manifest.digest))
    assert bench.tables.lines[1, 0]["state"] == "loaded"


async def test_refused_and_missed_batches_stand_in_the_ledger_with_their_reason(bench: Bench) -> None:
    """Every finding stays, each once."""
    batch = {"dataset": DATASET.name, "epoch": 1, "number": 3}
    refused = BatchRefused(**batch, reason="broken JSON", status=200, body="kept")
    await bench.handle(refused)
    await bench.handle(refused)
    await bench.handle(BatchMissed(**batch, reason="the API went on to 4"))
    line = bench.tables.lines[1, 3]
    assert line["state"] == "missed"
    assert line["finding"].splitlines() == ["refused: broken JSON", "missed: the API went on to 4"]


async def test_the_old_epochs_are_cleared_before_a_batch_is_loaded(bench: Bench) -> None:
    """Clearing is asked for with the batch's epoch; opening alone clears nothing."""
    await bench.handle(opened(0))
    assert bench.cleared == []
    await bench.handle(publish_batch(bench.log, DATASET, 2, 0, ROWS))
    assert bench.cleared == [(2, 0)]


async def test_a_declared_dataset_is_kept(bench: Bench) -> None:
    """The file itself is in the event, so that a replay can use it."""
    await bench.handle(DatasetDeclared(dataset=DATASET.name, digest=DATASET.digest, toml=DATASET.text))
    assert bench.tables.files == [f"{DATASET.digest} at {TIME}"]


def test_rows_are_sorted_into_raw_and_clean() -> None:
    """RAW has every row with its rest; CLEAN the clean ones; the others are counted by their reason."""
    good = dict(ROWS[0])
    rows: list[dict[str, Any]] = [
        good,
        {**good, "price": "cheap", "colour": "red"},
        {**good, "house_size": None},
        {**good, "house_size": 10.0},
        {**good, "bed": -1.0},
    ]
    sorting = Sorting(DATASET, 1, 7)
    raw, clean = sorting.sort(rows)
    assert [row["row_no"] for row in raw] == [0, 1, 2, 3, 4]
    assert [row["row_no"] for row in clean] == [0]
    assert raw[0]["rest"] is None
    assert raw[1]["price"] is None
    assert raw[1]["rest"] == {"price": "cheap", "colour": "red"}
    assert sorting.rejected == {
        "price: no value": 1,
        "house_size: no value": 1,
        "house_size: outside 200 .. 20000": 1,
        "bed: below 0": 1,
    }


@pytest.mark.failure("F18")
async def test_a_batch_is_read_by_the_dataset_file_that_it_came_under(bench: Bench) -> None:
    """The rules of today are not those of the day: a file with other bounds gives other clean rows."""
    strict = DATASET.text.replace("price = [10_000, 10_000_000]", "price = [10_000, 10_001]")
    old = parse_dataset(strict)
    await bench.handle(DatasetDeclared(dataset=DATASET.name, digest=old.digest, toml=strict))
    await bench.handle(publish_batch(bench.log, DATASET, 1, 0, ROWS, dataset_digest=old.digest))
    assert (len(bench.tables.raw), bench.tables.clean) == (len(ROWS), [])
    await bench.handle(publish_batch(bench.log, DATASET, 1, 1, ROWS))
    assert len(bench.tables.clean) == len(ROWS)


async def test_a_dataset_file_that_was_never_declared_is_a_finding(bench: Bench) -> None:
    """The batch is not lost for it."""
    await bench.handle(publish_batch(bench.log, DATASET, 1, 0, ROWS, dataset_digest="unknown"))
    assert len(bench.tables.raw) == len(ROWS)
    assert "never declared" in bench.tables.lines[1, 0]["finding"]
