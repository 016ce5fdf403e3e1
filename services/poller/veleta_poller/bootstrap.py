"""Builds and connects the parts of the poller."""

import asyncio
from collections.abc import Callable, Mapping
from functools import partial

from veleta.adapters.kafka import KafkaLog
from veleta.clock import utc_now
from veleta.commands import PendingCommands
from veleta.dataset import load_dataset
from veleta.processing.tail import tail
from veleta.service.health import ServiceHealth, watch_dependency
from veleta.service.lifecycle import Service
from veleta.threads import call_in_thread
from veleta.topics import topic, topics_of
from veleta_poller.adapters.api import connect
from veleta_poller.adapters.disks import Disks
from veleta_poller.adapters.inbox import Inbox
from veleta_poller.api_status import ApiStatus
from veleta_poller.domain.events import SERVICE
from veleta_poller.domain.state import COMMAND_TYPES
from veleta_poller.handlers import CommandHandler, ResponseHandler
from veleta_poller.poll_loop import Fetcher, PollLoop
from veleta_poller.settings import PollerSettings
from veleta_poller.state_store import StateStore
from veleta_poller.topics import Topics


def build(settings: PollerSettings, health: ServiceHealth) -> Service:
    """The poller on Kafka, HTTP and one folder."""
    dataset = load_dataset(settings.dataset)
    event_log = KafkaLog(settings.kafka, SERVICE)
    disks = Disks({"inbox": settings.inbox, **settings.disks})
    inbox = Inbox(settings.inbox, utc_now, settings.max_kept, disks)
    topics = Topics(dataset, event_log, utc_now)
    store = StateStore(inbox, health)
    api_status = ApiStatus(health)
    responses = ResponseHandler(
        dataset, settings.group_number, settings.max_body, inbox, topics, store, api_status, health
    )
    commands = topic(dataset.name, "commands")
    check_kafka = partial(call_in_thread, partial(event_log.check, topics_of(dataset.name, SERVICE)))

    async def run() -> None:
        pending = await start(inbox, store, responses, partial(event_log.bounds, commands), health, settings.poll)
        timeouts, token = (settings.total_timeout, settings.read_timeout), settings.api_token.get_secret_value()
        async with (
            connect(
                settings.api_url, settings.group_number, inbox, utc_now, settings.max_body, *timeouts, token
            ) as api,
            asyncio.TaskGroup() as group,
        ):
            background = [
                group.create_task(watch_dependency("kafka", check_kafka, health)),
                group.create_task(
                    health.keep_running("commands", partial(tail, [commands], event_log, health, pending.on_records))
                ),
                group.create_task(health.keep_running("replies", CommandHandler(pending, topics, store, health).run)),
                group.create_task(health.keep_running("disks", partial(disks.watch, health))),
            ]
            fetcher = Fetcher(api, inbox, store, health)
            polling = PollLoop(fetcher, responses, store, api_status, health, settings.at_end, settings.poll_every)
            await health.supervise("polling", polling.run())
            for task in background:
                task.cancel()

    return Service(run)


async def start(
    inbox: Inbox,
    store: StateStore,
    responses: ResponseHandler,
    bounds: Callable[[], Mapping[int, tuple[int, int]]],
    health: ServiceHealth,
    poll: str,
) -> PendingCommands:
    """Lock the inbox, restore the state and the position, and return the commands to handle from that moment on.

    `bounds` are those of `commands`, read after the lock: until then another poller may have handled commands. `poll`
    is the setting of the poll mode.
    """
    await health.retry_until_available(partial(asyncio.to_thread, inbox.lock))
    await store.load()
    await health.retry_until_available(responses.load_position)
    await store.update(lambda state: state.mode_configured(poll))
    existing = await health.retry_until_available(partial(asyncio.to_thread, bounds))
    return PendingCommands(SERVICE, COMMAND_TYPES, sum(end for _, end in existing.values()))
