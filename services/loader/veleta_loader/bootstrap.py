"""Builds the loader and connects it."""

from functools import partial

from veleta.adapters.kafka import KafkaLog
from veleta.adapters.mysql import MysqlLedger, mysql_engine
from veleta.batches import BatchReader
from veleta.clock import Clock, utc_now
from veleta.dataset import load_dataset
from veleta.life import Life
from veleta.loop import Intake, Relay, consume
from veleta.ports import EventLog
from veleta.service import Service
from veleta.tables import dataset_tables
from veleta.topics import topic
from veleta_loader.adapters.tables import Clearing, MysqlTables
from veleta_loader.handlers import Loading
from veleta_loader.settings import LoaderSettings


def build(settings: LoaderSettings, life: Life, *, log: EventLog | None = None, clock: Clock = utc_now) -> Service:
    """The loader on Kafka and MySQL; the log and the clock can be replaced."""
    dataset = load_dataset(settings.dataset)
    log = log or KafkaLog(settings.kafka.bootstrap, "loader")
    engine = mysql_engine(settings.mysql)
    tables = dataset_tables(dataset)
    ledger = MysqlLedger(engine, "loader")
    loading = Loading(
        dataset,
        BatchReader(log),
        tables=lambda work: MysqlTables(work.sql, tables),
        clear=Clearing(engine, tables).before if settings.on_new_epoch == "clear" else None,
        clock=clock,
    )
    relay = Relay(log, ledger)
    intake = Intake(loading, ledger, relay, life, clock, dataset.name)
    group = f"{dataset.name}.loader"
    return Service(partial(consume, [topic(dataset.name, "batches")], group, log, ledger, relay, intake, life))
