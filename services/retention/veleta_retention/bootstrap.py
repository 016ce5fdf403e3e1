"""Builds retention and connects its parts."""

import asyncio

from veleta.adapters.mysql import mysql_check, mysql_engine
from veleta.clock import Clock, utc_now
from veleta.dataset import load_dataset
from veleta.service.health import ServiceHealth, watch_dependency
from veleta.service.lifecycle import Service
from veleta.tables import dataset_tables
from veleta_retention.adapters.tables import MysqlPurgeTable, MysqlRequestTable
from veleta_retention.handlers import RetentionSweeper
from veleta_retention.settings import RetentionSettings


def build(settings: RetentionSettings, health: ServiceHealth, *, clock: Clock = utc_now) -> Service:
    """Retention on MySQL. Tests can replace the clock."""
    sweeper = RetentionSweeper(*connect(settings), settings.keep_requests_days, health, clock)

    async def run() -> None:
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(watch_dependency("mysql", mysql_check(settings.mysql), health))
            tasks.create_task(sweeper.run())

    return Service(run)


def connect(settings: RetentionSettings) -> tuple[list[MysqlRequestTable], MysqlPurgeTable]:
    """The tables of requests, and the table of purges."""
    engine = mysql_engine(settings.mysql)
    tables = dataset_tables(load_dataset(settings.dataset))
    requests = [MysqlRequestTable(engine, table) for table in (tables.requests, tables.refused)]
    return requests, MysqlPurgeTable(engine)
