"""Computes the drift reports of a deployment again, from its topics.

Each batch is handled in its order, by the dataset file and with the versions that its published report names. A report
that cannot be computed again is restored as it was published, because the next batches build on it.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Protocol

from veleta.batches import BatchReader, read_events, read_topic
from veleta.clock import Clock
from veleta.dataset import Dataset, DriftPolicy, parse_dataset
from veleta.errors import Reject, Retry, StateLost, Stop, VeletaError
from veleta.events.catalogue import BatchClosed, DatasetDeclared, DriftAssessed, RetrainJudged
from veleta.events.envelope import Event, Record, decode
from veleta.ports import EventLog, Transactions
from veleta.processing.replay import replay
from veleta.topics import topic
from veleta_drift.batch_measurer import Versions
from veleta_drift.domain.recorded_report import RecordedReport
from veleta_drift.handlers import DriftHandler
from veleta_drift.ports import DriftUnitOfWork, Models, NumberedModels

BatchKey = tuple[int, int]
"""Epoch and number."""


class ReplayModels(Models, NumberedModels, Protocol):
    """The versions of a deployment, for one dataset file."""


class LeaveOut(VeletaError):
    """The topics or the registry no longer have what a report was computed from."""


@dataclass
class Replay:
    """The batches whose reports were computed again, and why others were not.

    `policies` are those of the published reports. `unreported` counts closed batches without a published report.
    """

    replayed: list[BatchKey] = field(default_factory=list)
    left_out: dict[BatchKey, str] = field(default_factory=dict)
    policies: set[str] = field(default_factory=set)
    unreported: int = 0


class Replayer:
    """Replays the batches of one deployment into an empty database. It publishes nothing."""

    def __init__(
        self,
        dataset: Dataset,
        event_log: EventLog,
        transactions: Transactions[DriftUnitOfWork],
        models_of: Callable[[Dataset], ReplayModels],
        clock: Clock,
        policy: DriftPolicy | None = None,
    ) -> None:
        """`policy` decides instead of that of the dataset files."""
        self._dataset = dataset
        self._event_log = event_log
        self._transactions = transactions
        self._models_of = models_of
        self._clock = clock
        self._policy = policy
        self._reader = BatchReader(event_log)
        self._files = {dataset.digest: dataset.text}
        self._handlers: dict[str, tuple[DriftHandler, ReplayModels]] = {}
        self._closed: dict[BatchKey, Event] = {}
        self._manifests: dict[BatchKey, BatchClosed] = {}
        self._reports: dict[BatchKey, RecordedReport] = {}
        self._records: dict[BatchKey, list[Record]] = {}

    async def replay(self, progress: Callable[[int, int], None] = lambda _done, _of: None) -> Replay:
        """Replay all batches with a published report. `progress` gets the number of those that are done, and of all.

        Raises:
            Retry: Kafka, MySQL or the registry is unavailable.
        """
        await asyncio.to_thread(self._read_topics)
        if self._dataset.market:  # the reports were computed with these levels
            handler, _ = self._handler(self._dataset.digest)
            await replay(topic(self._dataset.name, "levels"), self._event_log, self._transactions, handler.restore)
        reported = [key for key in self._closed if key in self._reports]
        found = Replay(policies={report.policy for report in self._reports.values()})
        found.unreported = len(self._closed) - len(reported)
        for done, key in enumerate(reported):
            progress(done, len(reported))
            try:
                await self._replay(key)
                found.replayed.append(key)
            except LeaveOut as reason:
                found.left_out[key] = str(reason)
                await self._restore(key)
        return found

    def _read_topics(self) -> None:
        """Read the manifests in their order, the dataset files, and the reports. The first ones of a batch count."""
        for event in read_events(self._event_log, self._dataset.name, "batches"):
            if isinstance(event.payload, DatasetDeclared):
                self._files.setdefault(event.payload.digest, event.payload.toml)
            if isinstance(event.payload, BatchClosed):
                key = event.payload.epoch, event.payload.number
                self._closed.setdefault(key, event)
                self._manifests.setdefault(key, event.payload)
        for record in read_topic(self._event_log, topic(self._dataset.name, "drift")):
            try:
                payload = decode(record).payload
            except Reject:
                continue
            if isinstance(payload, DriftAssessed):
                self._reports.setdefault((payload.epoch, payload.number), RecordedReport.of(payload))
            if isinstance(payload, DriftAssessed | RetrainJudged):
                self._records.setdefault((payload.epoch, payload.number), []).append(record)

    async def _replay(self, key: BatchKey) -> None:
        """Handle a batch as `RecordProcessor` does. Raises LeaveOut before anything is stored."""
        event, report = self._closed[key], self._reports[key]
        if not report.has_all_parts:
            raise LeaveOut("an earlier release reported it")
        handler, models = self._handler(report.dataset_digest)
        versions = await asyncio.to_thread(_versions, models, report)
        try:
            prepared = await handler.prepare_with(event, versions)
            store = partial(handler.apply, event, prepared)
        except (Retry, Stop, StateLost):
            raise
        except Exception as error:  # noqa: BLE001 - it became a dead letter, and so does it here
            store = partial(handler.on_dead_letter, event, error)
        await asyncio.to_thread(self._require_rows, key)
        await self._transactions.run(store)

    def _require_rows(self, key: BatchKey) -> None:
        """Raise LeaveOut if rows that the report depends on were deleted."""
        previous = self._reports[key].previous
        needed = [key] if previous is None else [key, (key[0], previous)]
        manifests = [self._manifests[each] for each in needed if each in self._manifests]
        deleted = self._reader.deleted(self._dataset.name, manifests)
        if deleted:
            raise LeaveOut(f"rows deleted by retention: {', '.join(sorted(deleted))}")

    async def _restore(self, key: BatchKey) -> None:
        events = [decode(record) for record in self._records[key]]
        handler, _ = self._handler(self._dataset.digest)
        await self._transactions.run(partial(handler.restore, events))

    def _handler(self, digest: str) -> tuple[DriftHandler, ReplayModels]:
        """The handler of batches that were handled with this dataset file."""
        if digest not in self._handlers:
            dataset = self._file(digest)
            if self._policy:
                rule = dataset.drift.model_copy(update={"policy": self._policy})
                dataset = dataset.model_copy(update={"drift": rule})
            models = self._models_of(dataset)
            handler = DriftHandler(dataset, self._event_log, self._transactions, models, self._clock)
            self._handlers[digest] = handler, models
        return self._handlers[digest]

    def _file(self, digest: str) -> Dataset:
        if digest not in self._files:
            raise LeaveOut("its dataset file is not in the topics")
        try:
            return parse_dataset(self._files[digest])
        except Stop as fault:
            raise LeaveOut(f"its dataset file is no longer valid: {str(fault).splitlines()[0]}") from fault


def _versions(models: NumberedModels, report: RecordedReport) -> Versions:
    """The versions that a batch was measured with."""
    try:
        champion, replaced = (models.numbered(n) if n else None for n in (report.champion, report.replaced))
    except Reject as missing:
        raise LeaveOut(str(missing)) from missing
    return Versions(champion, replaced, report.reason)
