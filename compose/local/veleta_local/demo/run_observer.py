"""Observes a run: its events, the status of its parts, the batch table, and the answers to an example request."""

import asyncio
import math
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from functools import partial
from typing import Any

import aiohttp
import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError

from veleta.adapters.kafka import KafkaLog
from veleta.adapters.kafka_clients import Admin
from veleta.adapters.mysql import database_errors, mysql_engine
from veleta.adapters.offsets import read_offsets
from veleta.clock import Clock
from veleta.dataset import Dataset
from veleta.errors import Reject, Retry
from veleta.events.envelope import Record, decode
from veleta.planted_market import PlantedMarket
from veleta.ports import Checkpoints, EventLog
from veleta.printable import printable
from veleta.processing.tail import tail
from veleta.service.health import ServiceHealth
from veleta.settings import MysqlSettings
from veleta.tables import batches
from veleta.topics import declared_topics
from veleta_local import status
from veleta_local.addresses import HOST
from veleta_local.demo.event_messages import EventMessages, Level, Message, loaded_message
from veleta_local.errors import LocalError, RunStopped
from veleta_local.run import Run

POLL_SECONDS = 1.0
REQUEST_TIMEOUT = aiohttp.ClientTimeout(total=5)
FIRST_READ = 200
"""Records of each topic from before the demo that are read. A training writes some sixty."""
SHOWN_VERSIONS = 4
"""The view compares the predictions of this many versions for the example."""


@dataclass(frozen=True)
class PartStatus:
    """The current status of a part; `lag` counts records, None if it is unknown or the part has no consumer group."""

    name: str
    ready: bool
    doing: str
    lag: int | None
    warnings: Sequence[str] = ()


@dataclass
class ExampleRequests:
    """The results of repeated requests with the dataset's example."""

    answered: int = 0
    ms: float = 0.0
    """The latency of the last answer."""
    predictions: dict[int, float] = field(default_factory=dict)
    """By model version, the latest last."""
    error: str = "no request yet"
    """Empty if the last request was answered."""


class RunObserver:
    """Reads the state of a run each second. It reports changes as messages; the view draws the attributes."""

    def __init__(
        self, run: Run, dataset: Dataset, report: Callable[[Message], None], clock: Clock, ready: Collection[str]
    ) -> None:
        """The user knows already that the parts in `ready` are ready."""
        self.parts: Sequence[PartStatus] = []
        self.example = ExampleRequests()
        self.messages = EventMessages()
        self.unit = dataset.by_name[dataset.target].unit
        self.addresses = {
            "monitor": run.url("monitor"),
            "predict": f"{run.url('inference')}/predict",
            "MLflow": run.mlflow_url,
        }
        self.polls_by_hand = run.variables.poll == "manual"
        self._run = run
        self._dataset = dataset
        self._report = report
        self._clock = clock
        self._began = clock()
        self._admin = Admin(run.kafka, "demo")
        self._engine = mysql_engine(_mysql_settings(run))
        self._loaded: set[tuple[int, int]] = set()
        self._planted = (
            PlantedMarket.of_dataset(dataset) if not run.variables.csv and not run.variables.api_url else None
        )
        self._compared: tuple[int, int] | None = None
        self._ready = set(ready)
        self._awaited = set(run.awaited)

    async def observe(self) -> None:
        """Observe until the task is cancelled.

        Raises:
            LocalError: another command stopped the run, or the start cannot succeed.
        """
        health = ServiceHealth("demo")
        log = KafkaLog(self._run.kafka, "demo")
        topics = [topic.name for topic in declared_topics(self._dataset.name) if not topic.name.endswith(".rows")]
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._follow(topics, log, health))
                polls = [self._poll_parts, self._check_start, self._poll_batches, self._request_example]
                if self._planted:
                    polls.append(partial(self._compare_levels, self._planted))
                for poll in polls:
                    group.create_task(self._repeat(poll))
        except* LocalError as stopped:
            raise stopped.exceptions[0] from None

    async def _follow(self, topics: Sequence[str], log: EventLog, health: ServiceHealth) -> None:
        """Follow the events, beginning with some from before: they show the training that runs."""
        start = await health.retry_until_available(partial(asyncio.to_thread, newest_offsets, log, topics))
        await tail(topics, log, health, self._on_records, start)

    async def _repeat(self, poll: Callable[[], Any]) -> None:
        while True:
            await poll()
            await asyncio.sleep(POLL_SECONDS)

    def _on_records(self, records: Sequence[Record]) -> None:
        """Update the state of the training with every event, and report the new ones."""
        for record in records:
            try:
                message = self.messages.on_event(decode(record))
            except Reject as error:
                message = Message(self._clock(), record.topic, f"unreadable event: {error}", "error")
            if message and message.at >= self._began:
                self._report(message)

    async def _poll_parts(self) -> None:
        rows = await asyncio.to_thread(status.rows, self._run)
        if not any(row["pid"] for row in rows):
            raise RunStopped("another command stopped the run: make demo starts it again")
        lags = await asyncio.to_thread(self._lags)
        self.parts = [_part(row, lags) for row in rows]
        before, self._ready = self._ready, {part.name for part in self.parts if part.ready}
        for part in self.parts:
            if part.ready != (part.name in before):
                if part.ready:
                    self._report_now(part.name, "ready", "success")
                else:
                    self._report_now(part.name, part.doing, "warning")

    async def _check_start(self) -> None:
        """Raise LocalError if the start cannot succeed. Each part must become ready once."""
        await asyncio.to_thread(self._run.check_start)
        self._awaited -= self._ready
        if not self._awaited:
            await asyncio.to_thread(self._run.end_watch)

    def _lags(self) -> Mapping[str, int | None]:
        try:
            return read_offsets(self._admin, self._dataset.name).lags
        except Retry:
            return {}

    async def _poll_batches(self) -> None:
        for row in await asyncio.to_thread(self._newly_loaded):
            batch = row["epoch"], row["number"]
            if batch not in self._loaded:
                self._loaded.add(batch)
                self._report(loaded_message(row))

    def _newly_loaded(self) -> Sequence[Mapping[str, Any]]:
        query = sa.select(batches).where(batches.c.loaded_at >= self._began.replace(tzinfo=None))
        try:
            with database_errors(), self._engine.connect() as connection:
                return [dict(row) for row in connection.execute(query.order_by(batches.c.loaded_at)).mappings()]
        except (Retry, DBAPIError):  # the status of mysql shows it
            return []

    async def _compare_levels(self, planted: PlantedMarket) -> None:
        """Report the level that was found and the one that the generator planted, after each update of the level."""
        try:
            model = await self._get_model()
            if not (market := model.get("market")):
                return
            served, text = (model["version"], market["level_seq"]), compared_levels(planted, market)
        except (LookupError, TypeError, ValueError, aiohttp.ClientError, TimeoutError):  # `serving` shows why
            return
        if served != self._compared:
            self._compared = served
            self._report_now("market", text, "info")

    async def _get_model(self) -> Mapping[str, Any]:
        """The answer of GET /model."""
        async with (
            aiohttp.ClientSession(timeout=REQUEST_TIMEOUT) as session,
            session.get(
                f"{self._run.url('inference')}/model", headers={"X-API-Key": self._run.api_key("demo")}
            ) as response,
        ):
            return dict(await response.json(content_type=None))

    async def _request_example(self) -> None:
        """POST the dataset's example to /predict, as any client does."""
        began = time.monotonic()
        try:
            version, prediction = await self._predict()
        except LookupError as error:
            self._on_error(str(error.args[0]))
        except aiohttp.ClientConnectorError:
            self._on_error("inference does not listen yet" if not self.example.answered else "inference is down")
        except (aiohttp.ClientError, TimeoutError, ValueError) as error:
            self._on_error(f"no answer: {error or type(error).__name__}")
        else:
            self._on_answer(version, prediction, 1000 * (time.monotonic() - began))

    async def _predict(self) -> tuple[int, float]:
        """Version and prediction. Raises LookupError with the reason if inference answers with an error."""
        async with (
            aiohttp.ClientSession(timeout=REQUEST_TIMEOUT) as session,
            session.post(
                f"{self._run.url('inference')}/predict",
                json=self._dataset.example,
                headers={"X-API-Key": self._run.api_key("demo")},
            ) as response,
        ):
            body = await response.json(content_type=None)
        if not response.ok:
            raise LookupError(body.get("detail") or response.reason)
        return int(body["model"]["version"]), float(body["predictions"][0][self._dataset.target])

    def _on_answer(self, version: int, prediction: float, ms: float) -> None:
        before = self.example
        if before.error and before.answered:
            self._report_now("serving", "answers again", "success")
        if version not in before.predictions:
            self._report_now("serving", self._first_prediction(version, prediction), "success")
        others = [(v, p) for v, p in before.predictions.items() if v != version]
        latest = [*others, (version, prediction)][-SHOWN_VERSIONS:]
        self.example = ExampleRequests(before.answered + 1, ms, dict(latest), "")

    def _first_prediction(self, version: int, prediction: float) -> str:
        before = list(self.example.predictions.items())[-1:]
        value = f"{prediction:,.0f} {self.unit}".rstrip()
        return f"version {version} predicts {value} for the example" + "".join(
            f" (version {v}: {p:,.0f})" for v, p in before
        )

    def _on_error(self, error: str) -> None:
        if self.example.answered and not self.example.error:
            self._report_now("serving", error, "error")
        self.example.error = printable(error)

    def _report_now(self, subject: str, text: str, level: Level) -> None:
        self._report(Message(self._clock(), subject, text, level))


def compared_levels(planted: PlantedMarket, market: Mapping[str, Any]) -> str:
    """The found level beside the planted one on the day that it follows, as changes since the version's first period.

    `market` is that of GET /model.
    """
    first, day = date.fromisoformat(market["periods"][0]["period"]), date.fromisoformat(market["as_of"])
    factor, error = float(market["factor"]), float(market["error"])
    truth = math.exp(planted.level(day) - planted.period_level(first, market["every"]))
    found = f"{100 * (factor - 1):+.1f} % found (± {100 * factor * error:.1f})"
    return f"prices on {day} against {market['since']}: {found}, {100 * (truth - 1):+.1f} % planted"


def newest_offsets(log: EventLog, topics: Sequence[str]) -> Checkpoints:
    """By partition of the topics: the offset with FIRST_READ records after it. Raises Retry."""
    bounds = {(name, part): ends for name in topics for part, ends in log.bounds(name).items()}
    return {place: max(first, end - FIRST_READ) for place, (first, end) in bounds.items()}


def _part(row: Mapping[str, Any], lags: Mapping[str, int | None]) -> PartStatus:
    doing, *warnings = map(printable, (row["doing"], *row["warnings"]))
    return PartStatus(row["part"], row["ready"], doing, lags.get(row["part"]), warnings)


def _mysql_settings(run: Run) -> MysqlSettings:
    return MysqlSettings(
        host=HOST, port=run.mysql_port, user=run.mysql_user, password=run.mysql_password, prefix=run.mysql_prefix
    )
