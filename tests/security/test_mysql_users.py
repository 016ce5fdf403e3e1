"""What a compromised service can do with its MySQL user: it cannot change what another service relies on."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pymysql
import pytest
import sqlalchemy as sa
from pymysql.err import OperationalError

from support.testbed import Testbed
from veleta.tables import SCHEMAS, dataset_tables, pipeline
from veleta.users import OWN_ROWS, view_name

WRITTEN = {
    "loader": {"batches", "datasets", "outbox_loader", "marks_loader", "raw", "clean"},
    "drift": {
        "drift_reports", "drift_metrics", "drift_verdicts", "drift_tests", "batch_errors", "histograms",
        "retrain_verdicts", "market_levels", "batch_comparison", "outbox_drift", "marks_drift", "manifests_drift",
    },
    "trainer": {
        "trainings", "promotions", "evaluations", "interval_levels", "leases",
        "outbox_trainer", "marks_trainer", "manifests_trainer",
    },
    "inference": set(),
    "retention": {"purges"},
    "reader": set(),
    "requests_reader": set(),
}  # fmt: skip
"""The tables in which each user may do everything with rows."""
MORE = {
    ("inference", "insert"): {"requests", "refused"},
    ("retention", "insert"): {"sweeps"},
    ("retention", "update"): {"sweeps"},
    ("retention", "delete"): {"raw", "clean", "requests", "refused"},
}
"""What some may do in addition."""
CHECK_FAILED = 1369
"""A row that the view would not show."""


def tables(testbed: Testbed) -> dict[str, str]:
    """Every table and view of the deployment by a short name."""
    fixed = {table.name: f"PIPELINE.{table.name}" for table in pipeline.sorted_tables}
    views = {view_name(table, service) for table, services in OWN_ROWS.items() for service in services}
    dataset = {name: table.fullname for name, table in vars(dataset_tables(testbed.dataset)).items()}
    dataset["batch_comparison"] = dataset.pop("comparison")
    return {
        name: testbed.prefix + table for name, table in (fixed | {v: f"PIPELINE.{v}" for v in views} | dataset).items()
    }


@contextmanager
def session(testbed: Testbed, user: str, **arguments: Any) -> Iterator[Any]:
    """A cursor of one of the deployment's users; each statement is committed."""
    login = testbed.mysql(user)
    with (
        pymysql.connect(
            host=login.host,
            port=login.port,
            user=login.user,
            password=login.password.get_secret_value(),
            autocommit=True,
            init_command="SET sql_mode = ''",  # else an INSERT without every column is refused, whoever sends it
            **arguments,
        ) as connection,
        connection.cursor() as cursor,
    ):
        yield cursor


def accepted(cursor: Any, statement: str) -> bool:
    """Whether the server has not denied a statement."""
    try:
        cursor.execute(statement)
    except OperationalError as error:
        if "denied" not in str(error):
            raise
        return False
    return True


@pytest.mark.failure("F390")
@pytest.mark.parametrize("user", WRITTEN)
def test_a_user_writes_only_its_own_tables(testbed: Testbed, user: str) -> None:
    """Of all tables and views that there are, in all schemas."""
    named = tables(testbed)
    with session(testbed, "admin") as cursor:
        cursor.execute(
            "SELECT CONCAT(table_schema, '.', table_name) FROM information_schema.tables WHERE table_schema IN %s",
            ([f"{testbed.prefix}{schema}" for schema in SCHEMAS],),
        )
        assert {row[0] for row in cursor.fetchall()} == set(named.values())
        columns = {}
        for name, table in named.items():
            cursor.execute(f"SHOW COLUMNS FROM {table}")
            columns[name] = cursor.fetchall()[0][0]
    statements = {
        "update": "UPDATE {table} SET {column} = 1 WHERE 1 = 0",
        "delete": "DELETE FROM {table} WHERE 1 = 0",
        "insert": "INSERT INTO {table} ({column}) SELECT 1 FROM DUAL WHERE 1 = 0",
    }
    with session(testbed, user) as cursor:
        done = {
            kind: {
                name
                for name, table in named.items()
                if accepted(cursor, statement.format(table=table, column=columns[name]))
            }
            for kind, statement in statements.items()
        }
    assert done == {kind: WRITTEN[user] | MORE.get((user, kind), set()) for kind in statements}


@pytest.fixture
def of_loader(testbed: Testbed) -> Callable[[], list[Any]]:
    """Reads the rows of the loader that others could want to change: a checkpoint and an event."""
    p = f"{testbed.prefix}PIPELINE"
    statements = [
        f"REPLACE INTO {p}.marks VALUES ('loader', 't', 0, 7), ('drift', 't', 0, 3)",
        f"DELETE FROM {p}.outbox",
        f"INSERT INTO {p}.outbox VALUES (5, 'loader', 't', 'k', '[]', 'event'), (6, 'drift', 't', 'k', '[]', 'event')",
    ]
    with testbed.admin.begin() as connection:
        for statement in statements:
            connection.exec_driver_sql(statement)
    queries = [f"SELECT * FROM {p}.{name} WHERE service = 'loader'" for name in ("marks", "outbox")]
    return lambda: [row for query in queries for row in testbed.sql(sa.text(query))]


@pytest.mark.failure("F390")
@pytest.mark.parametrize(
    "statement",
    [
        "INSERT INTO {p}.marks_drift VALUES ('loader', 'other', 0, 9)",
        "INSERT INTO {p}.marks_drift VALUES ('loader', 't', 0, 9) ON DUPLICATE KEY UPDATE next_offset = 9",
        "REPLACE INTO {p}.marks_drift VALUES ('loader', 't', 0, 9)",
        "UPDATE {p}.marks_drift SET service = 'loader', topic = 'other'",
        "INSERT INTO {p}.outbox_drift VALUES (9, 'loader', 't', 'k', '[]', 'forged')",
        "UPDATE {p}.outbox_drift SET service = 'loader', id = 9",
    ],
)
def test_a_row_does_not_become_that_of_another_service(
    testbed: Testbed, of_loader: Callable[[], list[Any]], statement: str
) -> None:
    """The view refuses a row that it would not show."""
    before = of_loader()
    with session(testbed, "drift") as cursor, pytest.raises(OperationalError) as caught:
        cursor.execute(statement.format(p=f"{testbed.prefix}PIPELINE"))
    assert caught.value.args[0] == CHECK_FAILED
    assert of_loader() == before


@pytest.mark.failure("F390")
@pytest.mark.parametrize(
    "statement",
    [
        "REPLACE INTO {p}.outbox_drift VALUES {stolen}",
        "INSERT INTO {p}.outbox_drift VALUES {stolen} ON DUPLICATE KEY UPDATE service = 'drift'",
        "UPDATE {p}.outbox_drift SET id = 5",
        "UPDATE {p}.outbox_drift SET value = 'forged'",
        "DELETE FROM {p}.outbox_drift",
        "DELETE FROM {p}.marks_drift",
        "UPDATE {p}.marks_drift SET next_offset = 9",
    ],
)
def test_a_statement_meets_only_own_rows(testbed: Testbed, of_loader: Callable[[], list[Any]], statement: str) -> None:
    """Also one that replaces a row with the same id: the id is unique only within a service."""
    before = of_loader()
    stolen = "(5, 'drift', 't', 'k', '[]', 'stolen')"
    with session(testbed, "drift") as cursor:
        cursor.execute(statement.format(p=f"{testbed.prefix}PIPELINE", stolen=stolen))
    assert len(before) == 2
    assert of_loader() == before


@pytest.mark.failure("F391")
def test_a_password_is_of_no_use_on_another_host(testbed: Testbed) -> None:
    """The server sees another address, and denies the login of every user."""
    for user in WRITTEN:
        with session(testbed, user) as cursor:
            assert accepted(cursor, "SELECT 1")
        denied = pytest.raises(OperationalError, match=r"denied|not allowed")
        with denied, session(testbed, user, bind_address="127.0.0.2"):
            pass


@pytest.mark.failure("F392")
def test_the_monitors_user_sees_no_request(testbed: Testbed) -> None:
    """It counts them, and sees the time of the last one. People's notebooks have a user that reads all."""
    named = tables(testbed)
    queries = {
        "request": f"SELECT * FROM {named['requests']}",
        "city": f"SELECT city FROM {named['requests']}",
        "client": f"SELECT client_request_id FROM {named['requests']}",
        "body": f"SELECT body FROM {named['refused']}",
        "purged": f"SELECT name FROM {named['purges']}",
        "count": f"SELECT COUNT(*), MAX(answered_at) FROM {named['requests']}",
    }
    seen = {}
    for user in ("reader", "requests_reader"):
        with session(testbed, user) as cursor:
            seen[user] = {name for name, query in queries.items() if accepted(cursor, query)}
    assert seen == {"reader": {"count"}, "requests_reader": set(queries)}
