"""Builds what the page looks at and connects it."""

from dataclasses import dataclass
from datetime import timedelta

from veleta import commands
from veleta.adapters.kafka import KafkaLog
from veleta.adapters.mysql import mysql_engine
from veleta.clock import Clock, utc_now
from veleta.dataset import Dataset, load_dataset
from veleta.events.catalogue import Command, CommandAccepted, CommandRefused
from veleta_monitor.adapters.database import History, MysqlReader, Requests
from veleta_monitor.adapters.services import HttpReader, Voices
from veleta_monitor.adapters.topics import KafkaReader, Topics
from veleta_monitor.background_cache import Glance
from veleta_monitor.command_sender import Wishes
from veleta_monitor.settings import MonitorSettings

SERVICE = "monitor"
ACTOR = "somebody at the monitor"
"""The page has no log-in."""


@dataclass(frozen=True)
class View:
    """All that the page needs: one for the process, shared by all who have it open."""

    settings: MonitorSettings
    dataset: Dataset
    history: Glance[History]
    requests: Glance[Requests]
    topics: Glance[Topics]
    voices: Glance[Voices]
    wishes: Wishes
    clock: Clock


def build(
    settings: MonitorSettings,
    *,
    mysql: MysqlReader | None = None,
    kafka: KafkaReader | None = None,
    http: HttpReader | None = None,
    clock: Clock = utc_now,
) -> View:
    """The view on MySQL, Kafka and the services; the readers and the clock can be replaced."""
    dataset = load_dataset(settings.dataset)
    mysql = mysql or MysqlReader(mysql_engine(settings.mysql), dataset)
    log = KafkaLog(settings.kafka.bootstrap, "monitor")
    kafka = kafka or KafkaReader(settings.kafka.bootstrap, log, dataset.name)
    http = http or HttpReader(settings.readyz)

    def ask(kind: type[Command]) -> CommandAccepted | CommandRefused:
        return commands.send_command(log, kind(dataset=dataset.name, actor=ACTOR), SERVICE, clock)

    every = timedelta(seconds=settings.refresh)
    return View(
        settings,
        dataset,
        history=Glance(mysql.history, every, clock),
        requests=Glance(mysql.requests, every, clock),
        topics=Glance(kafka.look, every, clock),
        voices=Glance(http.look, every, clock),
        wishes=Wishes(ask),
        clock=clock,
    )
