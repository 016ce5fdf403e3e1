"""Builds and connects what the page needs."""

from collections.abc import Callable
from dataclasses import dataclass

from veleta.adapters.kafka import KafkaLog
from veleta.adapters.mysql import mysql_engine
from veleta.api_keys import names_by_digest
from veleta.bounds import NO_PASSWORD
from veleta.clock import utc_now
from veleta.commands import send_command
from veleta.dataset import Dataset, load_dataset
from veleta.events.catalogue import Command, CommandAccepted, CommandRefused
from veleta_monitor.adapters.database import MysqlReader
from veleta_monitor.adapters.prices import PriceClient
from veleta_monitor.adapters.services import HttpReader
from veleta_monitor.adapters.topics import KafkaReader
from veleta_monitor.background_cache import BackgroundCache
from veleta_monitor.command_sender import CommandSender
from veleta_monitor.login import Login
from veleta_monitor.settings import MonitorSettings
from veleta_monitor.snapshot import Snapshot

SERVICE = "monitor"
ACTOR = "a user of the monitor"
"""All users have the same password."""


@dataclass(frozen=True)
class Monitor:
    """What the page needs: one per process, shared by all visitors."""

    settings: MonitorSettings
    dataset: Dataset
    snapshot: Callable[[], Snapshot]
    commands: CommandSender
    login: Login | None
    """None: there are no buttons."""
    prices: PriceClient | None
    """None: inference is not deployed."""
    keys_required: bool
    """Whether inference accepts only requests with an API key."""


def build(settings: MonitorSettings) -> Monitor:
    """A monitor that reads from MySQL, Kafka and the services."""
    dataset = load_dataset(settings.dataset)
    event_log = KafkaLog(settings.kafka, SERVICE)
    mysql = MysqlReader(mysql_engine(settings.mysql), dataset)
    max_age = settings.refresh
    history = BackgroundCache(mysql.read_history, max_age, utc_now)
    requests = BackgroundCache(mysql.read_requests, max_age, utc_now)
    topics = BackgroundCache(KafkaReader(settings.kafka, event_log, dataset.name).read, max_age, utc_now)
    statuses = BackgroundCache(HttpReader(settings.readyz, settings.api_key.get_secret_value()).read, max_age, utc_now)

    def send(kind: type[Command], address: str) -> CommandAccepted | CommandRefused:
        return send_command(event_log, kind(dataset=dataset.name, actor=ACTOR, address=address), SERVICE, utc_now)

    commands = CommandSender(send)

    def snapshot() -> Snapshot:
        return Snapshot(utc_now(), history.get(), requests.get(), topics.get(), statuses.get(), commands.status)

    login = None if settings.password in NO_PASSWORD else Login(settings.password)
    keys_required = bool(names_by_digest(settings.api_keys))
    return Monitor(settings, dataset, snapshot, commands, login, _prices(settings, keys_required), keys_required)


def _prices(settings: MonitorSettings, keys_required: bool) -> PriceClient | None:
    """A client that has the monitor's own key only if keys are required: then visitors have to sign in."""
    url = settings.readyz.get("inference")
    return PriceClient(url, settings.api_key.get_secret_value() if keys_required else "") if url else None
