"""A deployment whose topics get hostile records, and what must be true after them."""

from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any, get_args

import sqlalchemy as sa

from support.hostile import HostileApi, hostile_api, of_rows
from support.hostile_messages import generated
from support.listings import api_rows
from support.models import Models, served_model
from support.record_batches import batch, bomb, produce, record
from support.testbed import Process, Testbed, wait_until
from veleta.adapters.kafka_clients import Admin
from veleta.adapters.offsets import read_offsets
from veleta.adapters.record_batches import GZIP, ZSTD
from veleta.batches import read_events, read_topic
from veleta.clock import utc_now
from veleta.commands import send_command
from veleta.events.catalogue import CommandAccepted, Poll, RecordDeadlettered
from veleta.events.envelope import Message
from veleta.tables import batches, dataset_tables, drift_reports, outbox, promotions
from veleta.topics import TopicName, topic

RECORDS = 30
"""Generated records for each topic."""
EXTREMES = [
    *(batch(bomb(codec), attributes=codec) for codec in (GZIP, ZSTD)),
    batch(record(None)),
    batch(record(b"{}", content=None)),
    batch(record(b"{}", header=b"\xff\xfe")),
]
"""Bombs, no value, a header without a value, and one whose name is no UTF-8."""
CONSUMERS: Mapping[TopicName, Sequence[str]] = {
    "batches": ["loader", "drift", "trainer"],
    "retrain": ["trainer"],
    "models": ["inference"],
}
"""The services that dead-letter a record. Others ignore it."""
ROWS = 10
"""Rows of a batch. They are too few for a training: a record may be a valid request."""
SECONDS = 120
LOADED = batches.c.state == "loaded"
VERDICT = sa.and_(drift_reports.c.epoch == batches.c.epoch, drift_reports.c.number == batches.c.number)
Letter = tuple[str, str, int | None]
"""A dead letter: the service, and the topic and the offset of the record."""


@dataclass
class HostileTopics:
    """A deployment whose services have processed one batch, and a person who may write to its topics."""

    testbed: Testbed
    api: HostileApi
    processes: Mapping[str, Process]

    def attack(self) -> set[Letter]:
        """Publish to each topic generated records, all known records again from the last to the first, and extremes.

        Returns the dead letters of the extremes.
        """
        dataset, log, letters = self.testbed.dataset.name, self.testbed.log, set[Letter]()
        for name in get_args(TopicName):
            full = topic(dataset, name)
            known = [Message(r.topic, r.key, r.headers, r.value) for r in read_topic(log, full)]
            log.publish(generated(dataset, name, known, RECORDS))
            offsets = produce(self.testbed.kafka, full, EXTREMES)
            letters |= {(service, full, offset) for service in CONSUMERS.get(name, ()) for offset in offsets}
        return letters

    def tables(self) -> list[Any]:
        """The rows, the loaded batches without their findings, the verdicts on them, and the promotions.

        A restart restores every valid verdict and rejection of its own topics: those of no batch, too.
        """
        rows = dataset_tables(self.testbed.dataset)
        columns = [column for column in batches.c if column.name != "finding"]
        loaded = sa.select(*columns).where(LOADED)
        verdicts = sa.select(drift_reports).join(batches, VERDICT).where(LOADED)
        promoted = sa.select(promotions).where(promotions.c.decision == "promoted")
        queries = [sa.select(rows.raw), sa.select(rows.clean), loaded, verdicts, promoted]
        return [sorted(map(repr, self.testbed.sql(query))) for query in queries]

    def wait_until_processed(self, letters: set[Letter]) -> None:
        """Until no consumer group has a lag and no event waits in the outbox, and these dead letters are published."""

        with closing(Admin(self.testbed.kafka, "test")) as connection:
            offsets = partial(read_offsets, connection, self.testbed.dataset.name)
            wait_until(lambda: set(offsets().lags.values()) == {0}, SECONDS, "every record is processed")
        waiting = sa.select(sa.func.count()).select_from(outbox)
        wait_until(lambda: not self.testbed.sql(waiting)[0][0], SECONDS, "every event is published")
        wait_until(lambda: letters <= self.dead_letters(), SECONDS, "each extreme record costs dead letters")

    def dead_letters(self) -> set[Letter]:
        """The dead letters of the services, and those that were forged."""
        events = read_events(self.testbed.log, self.testbed.dataset.name, "deadletter")
        letters = [event.payload for event in events if isinstance(event.payload, RecordDeadlettered)]
        return {(each.service, each.topic, each.offset) for each in letters}

    def check_ready(self) -> None:
        """Every service is ready, and inference serves the only version."""
        for process in self.processes.values():
            process.wait_until_ready()
        assert served_model(self.processes["inference"].url)["version"] == 1

    def restart(self) -> None:
        """Stop and start every service."""
        with ThreadPoolExecutor() as threads:
            list(threads.map(Process.stop, self.processes.values()))
        for process in self.processes.values():
            process.start()

    def fetch(self, number: int) -> None:
        """Order the next batch from the API, and wait until it is loaded and has a verdict."""
        dataset = self.testbed.dataset.name
        self.api.script.append(of_rows(number, api_rows(number, ROWS, 1)))
        poll = Poll(dataset=dataset, actor="test")
        assert isinstance(send_command(self.testbed.log, poll, "test", utc_now), CommandAccepted)
        done = sa.select(batches.c.epoch).join(drift_reports, VERDICT).where(LOADED, batches.c.number == number)
        wait_until(lambda: self.testbed.sql(done), SECONDS, f"batch {number} is processed")


@contextmanager
def hostile_topics(testbed: Testbed) -> Iterator[HostileTopics]:
    """All services that read topics, with a served version and a loaded batch."""
    Models(testbed).promote()
    with hostile_api([]) as (api, url), ExitStack() as stack:
        started = {
            "poller": testbed.service(
                "poller", api_url=url, group_number=7, poll="manual", inbox=testbed.folder / "inbox"
            ),
            "loader": testbed.service("loader", "loader"),
            "drift": testbed.service("drift", "drift"),
            "trainer": testbed.service("trainer", "trainer", work=testbed.folder / "work"),
            "inference": testbed.service("inference", "inference"),
        }
        hostile = HostileTopics(testbed, api, {name: stack.enter_context(each) for name, each in started.items()})
        hostile.processes["poller"].wait_until_ready(SECONDS)
        hostile.fetch(0)
        hostile.processes["inference"].wait_until_ready(SECONDS)
        hostile.check_ready()
        yield hostile
