"""Creates databases, tables and views, and adds new columns and indexes to existing tables.

`veleta.tables` and the dataset file declare every table. A column is only ever added: it must be nullable or have a
server default, since the table may have rows.
"""

from collections.abc import Collection, Iterable

import sqlalchemy as sa
from sqlalchemy.dialects.mysql import insert
from sqlalchemy.schema import CreateColumn, CreateTable

from veleta.adapters.mysql import mysql_engine
from veleta.batches import read_events
from veleta.dataset import Dataset, parse_dataset
from veleta.errors import Stop
from veleta.events.catalogue import DatasetDeclared
from veleta.limits import DEFAULT_LIMITS
from veleta.ports import EventLog
from veleta.settings import MysqlSettings
from veleta.tables import batches, dataset_tables, datasets, limits, own_rows, pipeline, schemas
from veleta.users import OWN_ROWS

COMPARISON = "batch_comparison"
"""The table that keeps the columns of statistics that are no longer compared."""
ADVICE = "Declare it as it was, or use a new deployment for the changed dataset (a local run: make stop and make clean)"


def create_databases(settings: MysqlSettings) -> None:
    """Create the missing databases."""
    engine = mysql_engine(settings)
    with engine.begin() as connection:
        for name in schemas(settings.prefix).values():
            connection.exec_driver_sql(
                f"CREATE DATABASE IF NOT EXISTS `{name}` CHARACTER SET utf8mb4 COLLATE utf8mb4_bin"
            )
    engine.dispose()


def create_tables(connection: sa.Connection, dataset: Dataset, event_log: EventLog) -> None:
    """Create missing tables; add new columns and indexes; refuse a column that was removed or has another type.

    Raises:
        Stop: a difference that a new column does not resolve. The message shows what to do.
        Retry: Kafka is unreachable.
    """
    _create(connection, pipeline.sorted_tables)
    _refuse_other_name(connection, dataset)
    tables = dataset_tables(dataset)
    if not _columns(connection, tables.raw) and (declared := _last_declared(event_log, dataset.name)):
        # The database was wiped. Its tables are created as they were, so that the same changes are refused as before.
        _create(connection, vars(dataset_tables(declared)).values())
    _create(connection, vars(tables).values())
    _create_views(connection)


def schema_name(connection: sa.Connection, schema: str) -> str:
    """The name of a schema in this deployment."""
    return str(connection.get_execution_options()["schema_translate_map"][schema])


def exists(connection: sa.Connection, table: sa.Table) -> bool:
    """Whether the deployment has the table."""
    return bool(_columns(connection, table))


def _create(connection: sa.Connection, tables: Iterable[sa.Table]) -> None:
    for table in tables:
        if existing := _columns(connection, table):
            _refuse_differences(connection, table, existing, may_have_more=table.name == COMPARISON)
            _add_columns(connection, table, existing)
            _extend_key(connection, table)
        else:
            connection.execute(CreateTable(table))
        for index in table.indexes:
            index.create(connection, checkfirst=True)


def _create_views(connection: sa.Connection) -> None:
    """Create the views of each service's own rows, with the columns that the tables have now."""
    for name, services in OWN_ROWS.items():
        table = pipeline.tables[f"{pipeline.schema}.{name}"]
        for service in services:
            view, rows = _full_name(connection, own_rows(table, service)), _full_name(connection, table)
            own = f"SELECT * FROM {rows} WHERE service = '{service}'"  # noqa: S608 - declared names
            connection.exec_driver_sql(f"CREATE OR REPLACE VIEW {view} AS {own} WITH CHECK OPTION")


def store_default_limits(connection: sa.Connection) -> None:
    """Limit what a deployment without rows keeps, unless it has loaded a batch before."""
    if connection.scalar(sa.select(sa.func.count()).select_from(batches)):
        return
    rows = [{"name": name, "value": value} for name, value in DEFAULT_LIMITS.items()]
    connection.execute(insert(limits).prefix_with("IGNORE"), rows)


def _refuse_other_name(connection: sa.Connection, dataset: Dataset) -> None:
    """The tables of PIPELINE and the topics of a deployment are those of one dataset."""
    other = connection.scalar(sa.select(datasets.c.name).where(datasets.c.name != dataset.name))
    if other:
        raise Stop(
            f'the dataset file has name = "{dataset.name}", and this deployment has the data of {other}. {ADVICE}'
        )


def _last_declared(event_log: EventLog, dataset: str) -> Dataset | None:
    """The dataset file that the poller declared last. None before the first one."""
    last = None
    for event in read_events(event_log, dataset):
        if isinstance(event.payload, DatasetDeclared):
            last = event.payload.toml
    return parse_dataset(last) if last else None


def _add_columns(connection: sa.Connection, table: sa.Table, existing: Collection[str]) -> None:
    for column in table.columns:
        if column.name not in existing:
            definition = CreateColumn(column).compile(dialect=connection.dialect)
            connection.exec_driver_sql(f"ALTER TABLE {_full_name(connection, table)} ADD COLUMN {definition}")


def _extend_key(connection: sa.Connection, table: sa.Table) -> None:
    """Add the declared columns that the primary key does not have yet."""
    query = sa.text(
        "SELECT column_name FROM information_schema.statistics "
        "WHERE table_schema = :schema AND table_name = :table AND index_name = 'PRIMARY'"
    )
    parameters = {"schema": schema_name(connection, str(table.schema)), "table": table.name}
    declared = [column.name for column in table.primary_key]
    if set(declared) > set(connection.scalars(query, parameters)):
        key = ", ".join(f"`{name}`" for name in declared)
        connection.exec_driver_sql(
            f"ALTER TABLE {_full_name(connection, table)} DROP PRIMARY KEY, ADD PRIMARY KEY ({key})"
        )


def _refuse_differences(
    connection: sa.Connection, table: sa.Table, existing: dict[str, str], *, may_have_more: bool
) -> None:
    """A table that `may_have_more` can have columns that are no longer declared, because drift ignores a column now."""
    declared = {c.name: _family(c.type.compile(connection.dialect)) for c in table.columns}
    removed = [] if may_have_more else sorted(existing.keys() - declared.keys())
    differences = [f"{name} is in the table but not declared" for name in removed]
    differences += [
        f"{name} is {existing[name]} in the table but declared as {declared[name]}"
        for name in sorted(existing.keys() & declared.keys())
        if existing[name] != declared[name]
    ]
    if differences:
        raise Stop(f"{table.fullname}: {'; '.join(differences)}. Columns can only be added. {ADVICE}")


def _columns(connection: sa.Connection, table: sa.Table) -> dict[str, str]:
    query = sa.text(
        "SELECT column_name, data_type FROM information_schema.columns "
        "WHERE table_schema = :schema AND table_name = :table"
    )
    parameters = {"schema": schema_name(connection, str(table.schema)), "table": table.name}
    return {name: _family(sql_type) for name, sql_type in connection.execute(query, parameters)}


def _family(sql_type: str) -> str:
    """The name of a type without length and collation. MariaDB reports JSON as LONGTEXT."""
    name = sql_type.lower().split("(")[0].split(" ")[0]
    return {"integer": "int", "longtext": "json"}.get(name, name)


def _full_name(connection: sa.Connection, table: sa.Table) -> str:
    return f"`{schema_name(connection, str(table.schema))}`.`{table.name}`"
