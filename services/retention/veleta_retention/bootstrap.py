"""Builds retention and connects it."""

from veleta.adapters.mysql import mysql_engine
from veleta.clock import Clock, utc_now
from veleta.dataset import load_dataset
from veleta.service.health import ServiceHealth
from veleta.service.lifecycle import Service
from veleta.tables import dataset_tables
from veleta_retention.adapters.tables import MysqlPurges, MysqlRequests
from veleta_retention.handlers import Retention
from veleta_retention.settings import RetentionSettings


def build(settings: RetentionSettings, health: ServiceHealth, *, clock: Clock = utc_now) -> Service:
    """Retention on MySQL; the clock can be replaced."""
    requests, purges = tables(settings)
    return Service(Retention(requests, purges, settings.keep_requests_days, health, clock).run)


def tables(settings: RetentionSettings) -> tuple[list[MysqlRequests], MysqlPurges]:
    """The tables of requests, and what was purged."""
    engine = mysql_engine(settings.mysql)
    made = dataset_tables(load_dataset(settings.dataset))
    return [MysqlRequests(engine, table) for table in (made.requests, made.refused)], MysqlPurges(engine)
