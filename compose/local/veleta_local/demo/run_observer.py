"""Looks at a run while it works: its events, its parts, what MySQL holds, and what a client is answered."""

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC
from typing import Any

import aiohttp
import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError

from veleta.adapters.kafka import KafkaLog
from veleta.adapters.mysql import database_errors, mysql_engine
from veleta.adapters.offsets import read_offsets
from veleta.clock import Clock
from veleta.dataset import Dataset
from veleta.errors import Reject, Retry
from veleta.events.envelope import Record, decode
from veleta.processing.tail import tail
from veleta.service.health import ServiceHealth
from veleta.settings import MysqlSettings
from veleta.tables import batches
from veleta.topics import declared_topics
from veleta_local import status
from veleta_local.addresses import HOST
from veleta_local.demo.story import Line, Story, Tone
from veleta_local.errors import LocalError
from veleta_local.run import Run

LOOK_SECONDS = 1.0
ANSWER_TIMEOUT = aiohttp.ClientTimeout(total=5)
SHOWN_PRICES = 4
"""So many versions' prices for the example are kept to be compared."""


@dataclass(frozen=True)
class Stage:
    """A part of the run, now; `lag` counts records, None where it has no consumer group or nobody knows."""

    name: str
    ready: bool
    doing: str
    lag: int | None


@dataclass
class Sample:
    """One request again and again: how many were answered, the last in `ms`, and the newest versions' prices."""

    answered: int = 0
    ms: float = 0.0
    prices: dict[int, float] = field(default_factory=dict)
    trouble: str = "not asked yet"


class Watch:
    """What is seen of a run. Every change is told as a line; the rest is there to be drawn at any time."""

    def __init__(self, run: Run, dataset: Dataset, tell: Callable[[Line], None], clock: Clock) -> None:
        self.stages: Sequence[Stage] = []
        self.sample = Sample()
        self.story = Story()
        self.unit = dataset.by_name[dataset.target].unit
        self._run = run
        self._dataset = dataset
        self._tell = tell
        self._clock = clock
        self._began = clock()
        self._engine = mysql_engine(_login(run))
        self._stored: set[tuple[int, int]] = set()

    async def look(self) -> None:
        """Look until the run is ended from elsewhere. Raises LocalError then."""
        health = ServiceHealth("demo")
        log = KafkaLog(self._run.kafka_bootstrap, "demo")
        topics = [each.name for each in declared_topics(self._dataset.name) if not each.name.endswith(".rows")]
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(tail(topics, log, health, self._hear))
                for look in (self._stages, self._batches, self._ask):
                    group.create_task(self._again(look))
        except* LocalError as ended:
            raise ended.exceptions[0] from None

    async def _again(self, look: Callable[[], Any]) -> None:
        while True:
            await look()
            await asyncio.sleep(LOOK_SECONDS)

    def _hear(self, records: Sequence[Record]) -> None:
        """Events from before the demo are heard too, so that what goes on is understood, but not told again."""
        for record in records:
            try:
                line = self.story.hear(decode(record))
            except Reject as error:
                line = Line(self._clock(), record.topic, f"holds what is no event: {error}", "bad")
            if line and line.at >= self._began:
                self._tell(line)

    async def _stages(self) -> None:
        rows = await asyncio.to_thread(status.rows, self._run)
        if not any(row["pid"] for row in rows):
            raise LocalError("the run was ended from elsewhere: make demo begins again")
        lags = await asyncio.to_thread(self._lags)
        before = {stage.name: stage.ready for stage in self.stages}
        self.stages = [
            Stage(str(row["part"]), bool(row["ready"]), str(row["doing"]), lags.get(str(row["part"]))) for row in rows
        ]
        for stage in self.stages:
            if stage.ready != before.get(stage.name, False):
                self._say(stage.name, "is ready" if stage.ready else stage.doing, "good" if stage.ready else "warn")

    def _lags(self) -> Mapping[str, int | None]:
        try:
            return read_offsets(self._run.kafka_bootstrap, self._dataset.name, "demo").lags
        except Retry:
            return {}

    async def _batches(self) -> None:
        for row in await asyncio.to_thread(self._loaded):
            place = row["epoch"], row["number"]
            if place not in self._stored:
                self._stored.add(place)
                self._tell(_stored(row))

    def _loaded(self) -> Sequence[Mapping[str, Any]]:
        query = sa.select(batches).where(batches.c.loaded_at >= self._began.replace(tzinfo=None))
        try:
            with database_errors(), self._engine.connect() as connection:
                return [dict(row) for row in connection.execute(query.order_by(batches.c.loaded_at)).mappings()]
        except (Retry, DBAPIError):  # MySQL's line of the stages says so
            return []

    async def _ask(self) -> None:
        """The dataset's example, as any client would send it."""
        began = time.monotonic()
        try:
            version, price = await self._predict()
        except LookupError as error:
            self._unanswered(str(error.args[0]))
        except (aiohttp.ClientError, TimeoutError, ValueError) as error:
            self._unanswered(f"no answer: {error or type(error).__name__}")
        else:
            self._answered(version, price, 1000 * (time.monotonic() - began))

    async def _predict(self) -> tuple[int, float]:
        """Version and price. Raises LookupError with the reason when inference says that it cannot tell."""
        async with (
            aiohttp.ClientSession(timeout=ANSWER_TIMEOUT) as session,
            session.post(f"{self._run.url('inference')}/predict", json=self._dataset.example) as answer,
        ):
            said = await answer.json(content_type=None)
        if not answer.ok:
            raise LookupError(said.get("detail") or answer.reason)
        return int(said["model"]["version"]), float(said["predictions"][0][self._dataset.target])

    def _answered(self, version: int, price: float, ms: float) -> None:
        sample = self.sample
        if sample.trouble and sample.answered:
            self._say("serving", "answers again", "good")
        if version not in sample.prices:
            self._say("serving", self._first_price(version, price), "good")
        newest = [*((v, p) for v, p in sample.prices.items() if v != version), (version, price)]
        self.sample = Sample(sample.answered + 1, ms, dict(newest[-SHOWN_PRICES:]), "")

    def _first_price(self, version: int, price: float) -> str:
        before = list(self.sample.prices.items())[-1:]
        said = f"version {version} answers: {price:,.0f} {self.unit} for the example".replace("  ", " ")
        return said + "".join(f", version {v} said {p:,.0f}" for v, p in before)

    def _unanswered(self, trouble: str) -> None:
        if self.sample.answered and not self.sample.trouble:
            self._say("serving", trouble, "bad")
        self.sample.trouble = trouble

    def _say(self, subject: str, text: str, tone: Tone) -> None:
        self._tell(Line(self._clock(), subject, text, tone))


def _login(run: Run) -> MysqlSettings:
    return MysqlSettings(
        host=HOST, port=run.mysql_port, user=run.mysql_user, password=run.mysql_password, prefix=run.mysql_prefix
    )


def _stored(row: Mapping[str, Any]) -> Line:
    rejected = row["rejected"] or {}
    why = f", {sum(rejected.values()):,} rejected ({', '.join(f'{n:,} {reason}' for reason, n in rejected.items())})"
    text = f"stored: {row['cleaned']:,} clean rows{why if rejected else ''}"
    return Line(row["loaded_at"].replace(tzinfo=UTC), f"batch {row['epoch']}/{row['number']}", text)
