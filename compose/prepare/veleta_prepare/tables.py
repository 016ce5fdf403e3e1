"""Makes databases and tables: the fixed ones by Alembic, those with dataset columns from the dataset file."""

from collections.abc import Collection
from pathlib import Path

import sqlalchemy as sa
from alembic import command
from alembic.config import Config
from sqlalchemy.schema import CreateColumn, CreateTable

from veleta.adapters.mysql import database_url
from veleta.dataset import Dataset
from veleta.errors import Stop
from veleta.settings import MysqlSettings
from veleta.tables import DatasetTables, dataset_tables, schemas


def make_databases(settings: MysqlSettings) -> None:
    """Create the databases that are missing."""
    engine = sa.create_engine(database_url(settings, "pymysql"))
    with engine.begin() as connection:
        for name in schemas(settings.prefix).values():
            connection.exec_driver_sql(
                f"CREATE DATABASE IF NOT EXISTS `{name}` CHARACTER SET utf8mb4 COLLATE utf8mb4_bin"
            )
    engine.dispose()


def make_fixed_tables(settings: MysqlSettings) -> None:
    """Bring PIPELINE to the newest migration."""
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    engine = sa.create_engine(database_url(settings, "pymysql").set(database=schemas(settings.prefix)["PIPELINE"]))
    with engine.begin() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, "head")
    engine.dispose()


def make_dataset_tables(connection: sa.Connection, dataset: Dataset) -> None:
    """Create the dataset's tables; add what is new of columns and indexes; refuse a column that went or was retyped.

    Raises:
        Stop: a difference that adding a column does not mend; the message says what to do.
    """
    tables: DatasetTables = dataset_tables(dataset)
    for table in vars(tables).values():
        if found := _columns(connection, table):
            _refuse_differences(connection, table, found, surplus=table is tables.comparison)
            _add_columns(connection, table, found)
        else:
            connection.execute(CreateTable(table))
        for index in table.indexes:
            index.create(connection, checkfirst=True)


def schema_name(connection: sa.Connection, schema: str) -> str:
    """What a schema is called in this deployment."""
    return str(connection.get_execution_options()["schema_translate_map"][schema])


def _add_columns(connection: sa.Connection, table: sa.Table, found: Collection[str]) -> None:
    for column in table.columns:
        if column.name not in found:
            definition = CreateColumn(column).compile(dialect=connection.dialect)
            connection.exec_driver_sql(f"ALTER TABLE {_full_name(connection, table)} ADD COLUMN {definition}")


def _refuse_differences(connection: sa.Connection, table: sa.Table, found: dict[str, str], *, surplus: bool) -> None:
    """`surplus`: columns that the dataset file no longer asks for may stay (drift was told to ignore them)."""
    wanted = {c.name: _family(c.type.compile(connection.dialect)) for c in table.columns}
    unwanted = [] if surplus else sorted(found.keys() - wanted.keys())
    gone = [f"{name} is in the table, not in the dataset file" for name in unwanted]
    retyped = [
        f"{name} is {found[name]}, the dataset file says {wanted[name]}"
        for name in sorted(found.keys() & wanted.keys())
        if found[name] != wanted[name]
    ]
    if faults := gone + retyped:
        raise Stop(
            f"{table.fullname}: {'; '.join(faults)}. Columns are only ever added: bring the column back, "
            "or give the changed dataset a deployment of its own (for the local run: make stop and make clean)"
        )


def _columns(connection: sa.Connection, table: sa.Table) -> dict[str, str]:
    query = sa.text(
        "SELECT column_name, data_type FROM information_schema.columns "
        "WHERE table_schema = :schema AND table_name = :table"
    )
    place = {"schema": schema_name(connection, str(table.schema)), "table": table.name}
    return {name: _family(kind) for name, kind in connection.execute(query, place)}


def _family(sql_type: str) -> str:
    """A type's name without length or collation; JSON is LONGTEXT in MariaDB and INTEGER is INT."""
    name = sql_type.lower().split("(")[0].split(" ")[0]
    return {"integer": "int", "longtext": "json"}.get(name, name)


def _full_name(connection: sa.Connection, table: sa.Table) -> str:
    return f"`{schema_name(connection, str(table.schema))}`.`{table.name}`"
