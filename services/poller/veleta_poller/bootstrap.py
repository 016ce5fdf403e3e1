"""Builds poller and connects it."""

import asyncio
from functools import partial

from veleta.adapters.kafka import KafkaLog
from veleta.clock import Clock, utc_now
from veleta.commands import PendingCommands
from veleta.dataset import load_dataset
from veleta.ports import EventLog
from veleta.processing.tail import tail
from veleta.service.health import ServiceHealth, watch_dependency
from veleta.service.lifecycle import Service
from veleta.topics import topic
from veleta_poller.adapters.api import HttpApi
from veleta_poller.adapters.inbox import Inbox
from veleta_poller.adapters.topics import Topics
from veleta_poller.domain.publication import SERVICE
from veleta_poller.domain.tap import TAKES
from veleta_poller.handlers import Poller
from veleta_poller.settings import PollerSettings


def build(
    settings: PollerSettings, health: ServiceHealth, *, log: EventLog | None = None, clock: Clock = utc_now
) -> Service:
    """Poller on Kafka, HTTP and one folder; the log and the clock can be replaced."""
    dataset = load_dataset(settings.dataset)
    log = log or KafkaLog(settings.kafka.bootstrap, SERVICE)
    inbox = Inbox(settings.inbox, clock)
    topics = Topics(dataset, log, clock)

    batches, commands = topic(dataset.name, "batches"), topic(dataset.name, "commands")

    async def obey(poller: Poller) -> None:
        bounds = await health.retry_until_available(partial(asyncio.to_thread, log.bounds, commands))
        desk = PendingCommands(SERVICE, TAKES, sum(end for _, end in bounds.values()))
        async with asyncio.TaskGroup() as group:
            group.create_task(tail([commands], log, health, desk.take))
            group.create_task(poller.obey(desk))

    async def run() -> None:
        timeouts = settings.total_timeout, settings.read_timeout
        how = settings.at_end, settings.poll, settings.poll_every
        async with (
            HttpApi(settings.api_url, settings.group_number, inbox, *timeouts) as api,
            asyncio.TaskGroup() as group,
        ):
            poller = Poller(dataset, inbox, api, topics, health, *how)
            beside = [
                group.create_task(watch_dependency("kafka", partial(asyncio.to_thread, log.bounds, batches), health)),
                group.create_task(obey(poller)),
            ]
            await poller.run()
            for task in beside:
                task.cancel()

    return Service(run)
