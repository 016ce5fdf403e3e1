"""What the loader does with each event, on in-memory repositories."""

import prometheus_client
import pytest

from support.batches import TIME, publish_batch
from support.listings import api_rows
from support.twins.loader import MemoryLoaderUnitOfWork
from support.twins.shared import CountingLog, MemoryTransactions, StrictTransactions
from veleta.batches import BatchReader
from veleta.dataset import load_dataset, parse_dataset
from veleta.errors import Reject
from veleta.events.catalogue import BatchMissed, BatchOpened, BatchPayload, BatchRefused, DatasetDeclared
from veleta.events.envelope import Event
from veleta.service.health import ServiceHealth
from veleta.tables import MAX_FINDINGS_LENGTH
from veleta.topics import topic
from veleta_loader.adapters.newest_epoch import NewestEpoch
from veleta_loader.handlers import BatchLoader, RowReporter
from veleta_loader.ports import BatchEntry

DATASET = load_dataset("real_estate")
ROWS = api_rows(0, 250, seed=1)


class MemoryCleaner:
    """`Cleaner` of in-memory tables."""

    def __init__(self, transactions: MemoryTransactions[MemoryLoaderUnitOfWork]) -> None:
        self._transactions = transactions
        self.cleared: list[tuple[int, int]] = []

    def has_rows_before(self, epoch: int) -> bool:
        return any(row["epoch"] < epoch for row in self._transactions.committed.rows.raw)

    def clear_before(self, epoch: int, number: int) -> None:
        self.cleared.append((epoch, number))
        rows = self._transactions.committed.rows
        rows.raw, rows.clean = ([r for r in table if r["epoch"] >= epoch] for table in (rows.raw, rows.clean))


class Loader:
    """A BatchLoader with an in-memory event log and in-memory tables."""

    def __init__(self) -> None:
        self.log = CountingLog()
        self.transactions = StrictTransactions(MemoryLoaderUnitOfWork())
        self.cleaner = MemoryCleaner(self.transactions)
        reader = BatchReader(self.log)
        self.handler = BatchLoader(
            DATASET,
            reader,
            self.transactions,
            self.cleaner,
            is_outdated=NewestEpoch(self.log, reader, DATASET.name).is_outdated,
            clock=lambda: TIME,
        )

    @property
    def committed(self) -> MemoryLoaderUnitOfWork:
        """The committed state of all tables."""
        return self.transactions.committed

    def entry(self, number: int) -> BatchEntry:
        """The entry of a batch of epoch 1."""
        return self.committed.batches.entries[1, number]

    async def handle(self, payload: BatchPayload | DatasetDeclared) -> None:
        event = Event("id", "poller", TIME, payload)
        prepared = await self.handler.prepare(event)
        await self.transactions.run(lambda uow: self.handler.apply(event, prepared, uow))

    async def dead_letter(self, payload: BatchPayload, error: Exception) -> None:
        event = Event("id", "poller", TIME, payload)
        await self.transactions.run(lambda uow: self.handler.on_dead_letter(event, error, uow))


@pytest.fixture
def loader() -> Loader:
    return Loader()


def opened(number: int, digest: str = "d") -> BatchOpened:
    return BatchOpened(dataset=DATASET.name, epoch=1, number=number, rows=1, digest=digest)


async def test_a_closed_batch_is_loaded_once(loader: Loader) -> None:
    """The same manifest again changes nothing. The poller can publish a manifest twice."""
    manifest = publish_batch(loader.log, DATASET, 1, 0, ROWS)
    await loader.handle(manifest)
    await loader.handle(manifest)
    assert [row["row_no"] for row in loader.committed.rows.raw] == list(range(250))
    entry = loader.entry(0)
    assert (entry.state, entry.received, entry.cleaned) == ("loaded", 250, len(loader.committed.rows.clean))
    assert entry.cleaned is not None
    assert entry.cleaned + sum((entry.rejected or {}).values()) == 250


@pytest.mark.failure("F37")
async def test_the_same_batch_with_another_digest_is_a_conflict(loader: Loader) -> None:
    """It is neither skipped nor loaded: the batch keeps its rows, and its entry has the finding."""
    await loader.handle(publish_batch(loader.log, DATASET, 1, 0, ROWS))
    other = publish_batch(loader.log, DATASET, 1, 0, ROWS[:10])
    with pytest.raises(Reject, match="conflict") as error:
        await loader.handle(other)
    await loader.dead_letter(other, error.value)
    assert loader.entry(0).state == "loaded"
    assert "conflict" in (loader.entry(0).finding or "")
    assert len(loader.committed.rows.raw) == 250


@pytest.mark.failure("F10")
async def test_a_batch_that_does_not_match_its_manifest_is_refused_as_a_whole(loader: Loader) -> None:
    """The rows of the chunks that were read before the mismatch are rolled back."""
    manifest = publish_batch(loader.log, DATASET, 1, 0, ROWS, chunks=4)
    with pytest.raises(Reject, match="manifest does not match") as error:
        await loader.handle(manifest)
    await loader.dead_letter(manifest, error.value)
    assert loader.entry(0).state == "refused"
    assert (loader.committed.rows.raw, loader.committed.rows.clean) == ([], [])


@pytest.mark.failure("F11")
async def test_an_open_batch_is_abandoned_when_the_next_opens(loader: Loader) -> None:
    """A batch that was never closed does not stay open."""
    await loader.handle(opened(0))
    await loader.handle(opened(1))
    assert [loader.entry(number).state for number in (0, 1)] == ["abandoned", "open"]


async def test_opening_again_leaves_a_loaded_batch_loaded(loader: Loader) -> None:
    """The poller publishes a batch again from its start after a crash."""
    manifest = publish_batch(loader.log, DATASET, 1, 0, ROWS)
    await loader.handle(manifest)
    await loader.handle(opened(0, manifest.digest))
    assert loader.entry(0).state == "loaded"


async def test_refused_and_missed_batches_are_in_the_batch_table_with_their_reason(loader: Loader) -> None:
    """Every finding is stored once."""
    batch = {"dataset": DATASET.name, "epoch": 1, "number": 3}
    refused = BatchRefused(**batch, reason="broken JSON", status=200, body="kept")
    await loader.handle(refused)
    await loader.handle(refused)
    await loader.handle(BatchMissed(**batch, reason="the API went on to 4"))
    assert loader.entry(3).state == "missed"
    assert (loader.entry(3).finding or "").splitlines() == ["refused: broken JSON", "missed: the API went on to 4"]


async def test_the_findings_of_a_batch_fit_their_column(loader: Loader) -> None:
    """A long text is cut."""
    batch = {"dataset": DATASET.name, "epoch": 1, "number": 3}
    await loader.handle(BatchMissed(**batch, reason="x" * 2 * MAX_FINDINGS_LENGTH))
    assert len(loader.entry(3).finding or "") == MAX_FINDINGS_LENGTH


@pytest.mark.failure("F08")
async def test_the_old_epochs_are_cleared_before_a_batch_is_loaded(loader: Loader) -> None:
    """A closed batch clears the epochs before its own; an opened batch clears nothing."""
    await loader.handle(publish_batch(loader.log, DATASET, 1, 0, ROWS))
    await loader.handle(opened(1))
    assert loader.cleaner.cleared == []
    await loader.handle(publish_batch(loader.log, DATASET, 2, 0, ROWS))
    assert loader.cleaner.cleared == [(2, 0)]
    assert {row["epoch"] for row in loader.committed.rows.raw} == {2}


@pytest.mark.failure("F357")
@pytest.mark.parametrize("epoch", [2, 1_000_000])
async def test_a_manifest_that_does_not_match_clears_nothing(loader: Loader, epoch: int) -> None:
    """The rows are compared with it before the first row of an earlier epoch is deleted."""
    await loader.handle(publish_batch(loader.log, DATASET, 1, 0, ROWS))
    before = list(loader.committed.rows.raw)
    forged = publish_batch(loader.log, DATASET, epoch, 0, ROWS, digest="0" * 64)
    with pytest.raises(Reject):
        await loader.handle(forged)
    assert (loader.cleaner.cleared, loader.committed.rows.raw) == ([], before)


@pytest.mark.failure("F357")
async def test_a_batch_without_rows_clears_nothing(loader: Loader) -> None:
    """A manifest may name rows that retention deleted, of any batch."""
    first, second = (publish_batch(loader.log, DATASET, 1, number, ROWS) for number in (0, 1))
    for manifest in (first, second):
        await loader.handle(manifest)
    loader.log.delete_before(topic(DATASET.name, "rows"), 0, second.ranges[0].first)
    await loader.handle(first.model_copy(update={"epoch": 2}))
    assert loader.cleaner.cleared == []
    assert loader.committed.batches.entries[2, 0].state == "deleted"


@pytest.mark.failure("F358")
async def test_an_epoch_that_does_not_follow_is_rejected_without_an_entry(loader: Loader) -> None:
    """Each epoch is one more than the last. The next batch is loaded as if there had been no such record."""
    await loader.handle(publish_batch(loader.log, DATASET, 7, 0, ROWS))
    forged = publish_batch(loader.log, DATASET, 9, 0, ROWS)
    with pytest.raises(Reject, match="the epoch does not follow: real_estate/9/0 after epoch 7") as error:
        await loader.handle(forged)
    await loader.dead_letter(forged, error.value)
    assert set(loader.committed.batches.entries) == {(7, 0)}
    await loader.handle(publish_batch(loader.log, DATASET, 7, 1, ROWS))
    await loader.handle(publish_batch(loader.log, DATASET, 8, 0, ROWS))
    assert {row["epoch"] for row in loader.committed.rows.raw} == {8}


async def test_a_declared_dataset_file_is_stored(loader: Loader) -> None:
    """The event contains the file's text, so that batches can be replayed with it."""
    await loader.handle(DatasetDeclared(dataset=DATASET.name, digest=DATASET.digest, toml=DATASET.text))
    assert loader.committed.datasets.texts == {DATASET.digest: DATASET.text}
    assert loader.committed.datasets.declared_at == {DATASET.digest: TIME}


@pytest.mark.failure("F18")
async def test_a_batch_is_cleaned_by_the_dataset_file_that_it_was_published_under(loader: Loader) -> None:
    """The current rules are not applied to an older batch: a file with other bounds gives other clean rows."""
    strict = DATASET.text.replace("price = [10_000, 10_000_000]", "price = [10_000, 10_001]")
    old = parse_dataset(strict)
    await loader.handle(DatasetDeclared(dataset=DATASET.name, digest=old.digest, toml=strict))
    await loader.handle(publish_batch(loader.log, DATASET, 1, 0, ROWS, dataset_digest=old.digest))
    assert (len(loader.committed.rows.raw), loader.committed.rows.clean) == (len(ROWS), [])
    await loader.handle(publish_batch(loader.log, DATASET, 1, 1, ROWS))
    assert len(loader.committed.rows.clean) == len(ROWS)


async def test_a_dataset_file_that_was_never_declared_is_a_finding(loader: Loader) -> None:
    """The batch is loaded nevertheless."""
    await loader.handle(publish_batch(loader.log, DATASET, 1, 0, ROWS, dataset_digest="unknown"))
    assert len(loader.committed.rows.raw) == len(ROWS)
    assert "never declared" in (loader.entry(0).finding or "")


@pytest.mark.failure("F360")
async def test_a_batch_under_a_dataset_file_that_cannot_be_read_is_refused(loader: Loader) -> None:
    """A declaration may hold any text. The loader goes on."""
    await loader.handle(DatasetDeclared(dataset=DATASET.name, digest="e" * 64, toml="this is no TOML"))
    with pytest.raises(Reject, match="its dataset file cannot be read: this is not TOML"):
        await loader.handle(publish_batch(loader.log, DATASET, 1, 0, ROWS, dataset_digest="e" * 64))


BAD = [{**row, "price": "POA"} for row in ROWS]


class Reporter:
    """A RowReporter beside a loader."""

    def __init__(self, loader: Loader) -> None:
        self.health = ServiceHealth("loader")
        self.reporter = RowReporter(loader.transactions, self.health)

    @property
    def warning(self) -> str:
        return self.health.warnings.get("rows", "")


def counted(outcome: str) -> float:
    """The metric of loaded rows."""
    return prometheus_client.REGISTRY.get_sample_value("veleta_loader_rows_total", {"outcome": outcome}) or 0.0


@pytest.mark.failure("F173")
async def test_rows_left_out_are_a_finding_with_an_example(loader: Loader) -> None:
    """The counts stay by reason. A batch of clean rows has no finding."""
    await loader.handle(publish_batch(loader.log, DATASET, 1, 0, ROWS))
    await loader.handle(publish_batch(loader.log, DATASET, 1, 1, [*ROWS, {**ROWS[0], "bed": -1.0}]))
    assert loader.entry(0).finding is None
    assert loader.entry(1).rejected == {"bed: below 0": 1}
    assert loader.entry(1).finding == "1 of 251 rows are left out (0.398 %): bed: below 0 1 (row 250: -1.0)"


@pytest.mark.failure("F173")
async def test_the_warning_concerns_the_newest_loaded_batch(loader: Loader) -> None:
    """It is there after a restart, and disappears with the next good batch."""
    reporter = Reporter(loader)
    await reporter.reporter.restore()
    await loader.handle(publish_batch(loader.log, DATASET, 1, 0, BAD))
    await reporter.reporter.report()
    expected = 'batch 1/0 has no clean row: 250 of 250 rows are left out (100 %): price: no value 250 (row 0: "POA")'
    assert reporter.warning == expected
    restarted = Reporter(loader)
    await restarted.reporter.restore()
    assert restarted.warning == expected
    await loader.handle(opened(1))
    await restarted.reporter.report()
    assert restarted.warning == expected
    await loader.handle(publish_batch(loader.log, DATASET, 1, 1, ROWS))
    await restarted.reporter.report()
    assert restarted.warning == ""


async def test_the_rows_of_a_loaded_batch_are_counted_once(loader: Loader) -> None:
    """By outcome, and not again after a restart."""
    reporter, before = Reporter(loader), [counted("clean"), counted("price: no value")]
    await loader.handle(publish_batch(loader.log, DATASET, 1, 0, [*ROWS, *BAD[:10]]))
    for _ in range(2):
        await reporter.reporter.report()
    await Reporter(loader).reporter.restore()
    assert [counted("clean") - before[0], counted("price: no value") - before[1]] == [250, 10]


@pytest.mark.failure("F250")
async def test_a_batch_whose_rows_retention_deleted_is_shown_as_deleted(loader: Loader) -> None:
    """After a wipe of the database the topics repeat it. It is no dead letter, and later batches are loaded."""
    deleted, kept = (publish_batch(loader.log, DATASET, 1, number, ROWS) for number in (0, 1))
    loader.log.delete_before(topic(DATASET.name, "rows"), 0, kept.ranges[0].first)
    for manifest in (deleted, kept):
        await loader.handle(manifest)
    assert (loader.entry(0).state, loader.entry(0).finding) == ("deleted", "its rows were deleted by retention")
    assert loader.entry(1).state == "loaded"
    assert {row["number"] for row in loader.committed.rows.raw} == {1}


@pytest.mark.failure("F250")
async def test_a_loaded_batch_stays_loaded_when_its_manifest_comes_again(loader: Loader) -> None:
    """Although its rows in the topic were deleted meanwhile."""
    loaded, kept = (publish_batch(loader.log, DATASET, 1, number, ROWS) for number in (0, 1))
    await loader.handle(loaded)
    loader.log.delete_before(topic(DATASET.name, "rows"), 0, kept.ranges[0].first)
    await loader.handle(loaded)
    assert loader.entry(0).state == "loaded"


@pytest.mark.failure("F09")
async def test_rows_of_outdated_epochs_are_not_loaded_after_a_wipe(loader: Loader) -> None:
    """They would be deleted at once. The topic is searched for the newest epoch once, not for each batch."""
    manifests = [publish_batch(loader.log, DATASET, epoch, number, ROWS) for epoch in range(1, 6) for number in (0, 1)]
    for manifest in manifests:
        await loader.handle(manifest)
    states = {key: entry.state for key, entry in loader.committed.batches.entries.items()}
    assert [key for key, state in states.items() if state == "deleted"] == [(e, n) for e in (1, 2, 3) for n in (0, 1)]
    assert [key for key, state in states.items() if state == "loaded"] == [(e, n) for e in (4, 5) for n in (0, 1)]
    assert loader.cleaner.cleared == [(5, 0)]
    assert loader.log.read_records[topic(DATASET.name, "rows")] == (4 + 2) * 3
    assert loader.log.read_records[topic(DATASET.name, "batches")] == 3 * len(loader.log.topics["real_estate.batches"])


@pytest.mark.failure("F358")
async def test_a_forged_epoch_does_not_make_the_present_one_outdated(loader: Loader) -> None:
    """At the end of the topic, where the newest epoch is sought. Not even if epochs follow one by one."""
    manifest = publish_batch(loader.log, DATASET, 3, 0, ROWS)
    for epoch in (4, 5, 6, 1_000_000):
        publish_batch(loader.log, DATASET, epoch, 0, ROWS, digest="0" * 64)
    await loader.handle(manifest)
    assert loader.committed.batches.entries[3, 0].state == "loaded"


async def test_a_loader_that_is_behind_by_one_epoch_loads_its_rows(loader: Loader) -> None:
    """And one that follows loads all, however many epochs there are."""
    last = [publish_batch(loader.log, DATASET, 1, number, ROWS) for number in (0, 1)]
    await loader.handle(last[0])
    first = publish_batch(loader.log, DATASET, 2, 0, ROWS)
    for manifest in (last[1], first, publish_batch(loader.log, DATASET, 3, 0, ROWS)):
        await loader.handle(manifest)
    assert {entry.state for entry in loader.committed.batches.entries.values()} == {"loaded"}
