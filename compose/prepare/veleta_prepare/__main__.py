"""`python -m veleta_prepare`: exits with 0 when everything exists as declared, else with 1 and one clear line."""

import asyncio
import sys
from functools import partial

from veleta.adapters.kafka import KafkaLog
from veleta.adapters.mysql import database_errors, mysql_engine
from veleta.dataset import load_dataset
from veleta.errors import Stop
from veleta.printable import printable
from veleta.service.health import ServiceHealth
from veleta.service.logs import configure_logging
from veleta.settings import read_settings
from veleta.timeouts import SCHEMA_SECONDS
from veleta.topics import topic
from veleta_prepare.kafka_users import create_kafka_users
from veleta_prepare.settings import PrepareSettings
from veleta_prepare.tables import create_databases, create_tables, store_default_limits
from veleta_prepare.topics import create_topics
from veleta_prepare.users import create_users
from veleta_prepare.versions import refuse_newer_data, store_version


def prepare(settings: PrepareSettings) -> None:
    """Create and verify everything.

    Raises:
        Retry: Kafka or MySQL is unavailable.
        Stop: something exists and differs from its declaration, or a newer version used the data.
    """
    dataset = load_dataset(settings.dataset)
    engine = mysql_engine(settings.mysql, SCHEMA_SECONDS)
    with database_errors(), engine.connect() as connection:
        refuse_newer_data(connection)
    create_topics(settings.kafka, dataset.name)
    create_kafka_users(settings.kafka, dataset.name, settings.kafka_passwords, settings.mysql.prefix)
    event_log = KafkaLog(settings.kafka, "prepare")
    with database_errors():
        create_databases(settings.mysql)
        with engine.begin() as connection:
            create_tables(connection, dataset, event_log)
            create_users(connection, dataset, settings)
            store_version(connection)
    rows = event_log.bounds(topic(dataset.name, "rows"))
    if not any(end for _, end in rows.values()):
        with database_errors(), engine.begin() as connection:
            store_default_limits(connection)
    engine.dispose()


async def _main() -> None:
    settings = read_settings(PrepareSettings)
    await ServiceHealth("prepare").retry_until_available(partial(asyncio.to_thread, prepare, settings))


if __name__ == "__main__":
    configure_logging("prepare")
    try:
        asyncio.run(_main())
    except Stop as error:
        sys.exit(printable(f"prepare: {error}"))
