"""The job `prepare`: what it creates, and what it refuses."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from uuid import uuid4

import pytest
import sqlalchemy as sa
from kafka import KafkaAdminClient
from kafka.admin import ConfigResource, ConfigResourceType
from kafka.errors import KafkaTimeoutError
from pydantic import SecretStr
from sqlalchemy.exc import OperationalError

from support.records import publish_chunks
from support.repository import ROOT
from support.testbed import Testbed, kafka_login, wait_until
from veleta.adapters.kafka_clients import client_arguments
from veleta.adapters.mysql import MysqlUnitOfWork, mysql_engine
from veleta.errors import Retry, Stop
from veleta.events.envelope import Message
from veleta.limits import DEFAULT_LIMITS
from veleta.settings import MysqlSettings
from veleta.tables import SCHEMAS, dataset_tables, limits, pipeline, versions
from veleta.topics import SEGMENT_BYTES, declared_topics, topic
from veleta.users import OWN_ROWS, USERS, view_name
from veleta.version import VERSION
from veleta_prepare.topics import create_topics

NEW_COLUMN = '[[columns]]\nname = "garage"\ntitle = "Garage"\nkind = "number"\n\n[cleaning]\n'
NEW_EXAMPLE = "[example]\ngarage = 1.0\n"
COLUMNS = (
    "table_name, column_name, ordinal_position, column_type, is_nullable, column_default, column_key, extra, "
    "character_set_name, collation_name, column_comment"
)
INDEXES = "table_name, column_name, non_unique, seq_in_index"
FIRST_RELEASE = ROOT / "tests/integration/first_release.sql"
NAMES = [user.name for user in USERS]

INSERT_REQUEST = (
    "INSERT INTO {RAW_DATA}.new_{d} "
    "(request_id, item, received_at, answered_at, model_version, latency_ms, http_status) "
    "VALUES ('r', 0, NOW(), NOW(), 1, 1, 200)"
)


@contextmanager
def admin(testbed: Testbed) -> Iterator[KafkaAdminClient]:
    client = KafkaAdminClient(**client_arguments(testbed.kafka, "test"))
    yield client
    client.close()


def change(testbed: Testbed, old: str, new: str) -> None:
    """Replace text in the dataset file."""
    text = testbed.dataset_path.read_text()
    assert old in text
    testbed.dataset_path.write_text(text.replace(old, new))


def described(testbed: Testbed, columns: str, source: str, schema: str) -> list[tuple[Any, ...]]:
    """The columns or indexes of a schema, from information_schema."""
    query = sa.text(
        f"SELECT {columns} FROM information_schema.{source} WHERE table_schema = :schema ORDER BY {columns}"
    )
    return [tuple(row) for row in testbed.sql(query.bindparams(schema=schema))]


def everything(testbed: Testbed) -> dict[str, list[tuple[Any, ...]]]:
    """All columns and indexes of a deployment, and the rights of its users."""
    state: dict[str, list[tuple[Any, ...]]] = {
        f"{source} of {schema}": described(testbed, columns, source, f"{testbed.prefix}{schema}")
        for schema in SCHEMAS
        for columns, source in ((COLUMNS, "columns"), (INDEXES, "statistics"))
    }
    for user in NAMES:
        state[user] = sorted(
            (host, *row)
            for host in hosts(testbed, user)
            for row in testbed.sql(sa.text(f"SHOW GRANTS FOR '{testbed.prefix}{user}'@'{host}'"))
        )
    return state


def hosts(testbed: Testbed, user: str) -> list[str]:
    """The hosts from which a user can log in."""
    query = sa.text("SELECT host FROM mysql.user WHERE user = :name").bindparams(name=f"{testbed.prefix}{user}")
    return [row[0] for row in testbed.sql(query)]


def test_a_second_run_changes_nothing(testbed: Testbed) -> None:
    """Tables, rows and users stay as they are."""
    execute(testbed, "admin", "INSERT INTO {PIPELINE}.marks VALUES ('x', 't', 0, 7)")
    before = everything(testbed)
    again = testbed.prepare()
    assert again.returncode == 0, again.stderr
    assert everything(testbed) == before
    assert [row.next_offset for row in testbed.sql(sa.text(f"SELECT * FROM {testbed.prefix}PIPELINE.marks"))] == [7]


def test_every_declared_table_and_topic_exists(testbed: Testbed) -> None:
    """And no other table, except the views of each service's own rows."""
    tables = dataset_tables(testbed.dataset)
    expected = {str(table.fullname) for table in vars(tables).values()}
    expected |= {table.fullname for table in pipeline.sorted_tables}
    expected |= {f"PIPELINE.{view_name(table, service)}" for table, owners in OWN_ROWS.items() for service in owners}
    existing = {f"{schema}.{row[0]}" for schema in SCHEMAS for row in everything(testbed)[f"columns of {schema}"]}
    assert existing == expected
    with admin(testbed) as client:
        names = {each["name"] for each in client.describe_topics()}
    assert {each.name for each in declared_topics(testbed.dataset.name)} <= names


def test_a_database_of_the_first_release_is_upgraded(fresh_testbed: Testbed) -> None:
    """It becomes what a new database is: tables, columns and indexes. The rows stay."""
    before = everything(fresh_testbed)
    for table in pipeline.sorted_tables:
        execute(fresh_testbed, "admin", f"DROP TABLE {{PIPELINE}}.{table.name}")
        for service in OWN_ROWS.get(table.name, ()):
            execute(fresh_testbed, "admin", f"DROP VIEW {{PIPELINE}}.{view_name(table.name, service)}")
    for statement in FIRST_RELEASE.read_text().split(";")[:-1]:
        execute(
            fresh_testbed,
            "admin",
            statement.replace(" TABLE ", " TABLE {PIPELINE}.").replace(" ON ", " ON {PIPELINE}."),
        )
    execute(fresh_testbed, "admin", "INSERT INTO {PIPELINE}.marks VALUES ('drift', 't', 0, 7)")
    execute(fresh_testbed, "admin", "INSERT INTO {PIPELINE}.outbox VALUES (3, 'drift', 't', 'k', '[]', 'event')")
    assert everything(fresh_testbed) != before
    done = fresh_testbed.prepare()
    assert done.returncode == 0, done.stderr
    assert everything(fresh_testbed) == before
    engine = mysql_engine(fresh_testbed.mysql("drift"))
    with engine.begin() as connection:
        state = MysqlUnitOfWork(connection, "drift")
        assert state.checkpoints.load_all() == {("t", 0): 7}
        assert state.outbox.oldest() == [(3, Message("t", "k", (), b"event"))]
    engine.dispose()


@pytest.mark.failure("F420")
def test_data_of_a_newer_version_are_refused(fresh_testbed: Testbed) -> None:
    """A downgrade says what it needs, before it changes anything. Data of an older version are upgraded."""

    def stored() -> list[str]:
        return [row[0] for row in fresh_testbed.sql(sa.select(versions.c.version))]

    assert stored() == [VERSION]
    execute(fresh_testbed, "admin", "UPDATE {PIPELINE}.versions SET version = '98.10.0'")
    execute(fresh_testbed, "admin", "ALTER TABLE {PIPELINE}.limits ADD COLUMN later INT")
    execute(fresh_testbed, "admin", "DROP TABLE {PIPELINE}.purges")
    before = everything(fresh_testbed)
    done = fresh_testbed.prepare()
    assert done.returncode == 1
    assert f"prepare: these data need Veleta 98.10.0 or newer; this is {VERSION}" in done.stderr
    assert everything(fresh_testbed) == before
    execute(fresh_testbed, "admin", "ALTER TABLE {PIPELINE}.limits DROP COLUMN later")
    execute(fresh_testbed, "admin", "UPDATE {PIPELINE}.versions SET version = '0.0.9'")
    assert fresh_testbed.prepare().returncode == 0
    assert stored() == [VERSION]


@pytest.mark.failure("F391")
def test_users_of_an_earlier_version_are_dropped(fresh_testbed: Testbed) -> None:
    """They could log in from any host. The new ones are there before."""
    before = everything(fresh_testbed)
    old = f"'{fresh_testbed.prefix}drift'@'%'"
    with fresh_testbed.admin.begin() as connection:
        for statement in (f"CREATE USER {old} IDENTIFIED BY 'old'", f"GRANT SELECT ON *.* TO {old}"):
            connection.execute(sa.text(statement))
    assert fresh_testbed.prepare().returncode == 0
    assert everything(fresh_testbed) == before
    assert "%" not in {host for name in NAMES for host in hosts(fresh_testbed, name)}


def test_users_log_in_from_the_given_hosts(fresh_testbed: Testbed) -> None:
    """Where the services have other networks than the job, as in Kubernetes. Those for other hosts are dropped."""
    before = everything(fresh_testbed)
    with fresh_testbed.admin.connect() as connection:
        address = str(connection.scalar(sa.text("SELECT SUBSTRING_INDEX(USER(), '@', -1)")))
    network = f"{address.rpartition('.')[0]}.%"
    given = fresh_testbed.prepare(MYSQL_USER_HOSTS=network)
    assert given.returncode == 0, given.stderr
    assert {host for name in NAMES for host in hosts(fresh_testbed, name)} == {network}
    engine = mysql_engine(fresh_testbed.mysql("drift"))
    with engine.connect() as connection:
        assert connection.scalar(sa.text("SELECT CURRENT_USER()")) == f"{fresh_testbed.prefix}drift@{network}"
    engine.dispose()
    assert fresh_testbed.prepare().returncode == 0
    assert everything(fresh_testbed) == before


@pytest.mark.failure("F108")
def test_a_topic_that_differs_is_refused_and_not_changed(testbed: Testbed) -> None:
    """The message names every difference. Nothing is overwritten, because an operator may have changed it."""
    name = f"t{uuid4().hex[:8]}"
    create_topics(testbed.kafka, name)
    drift, rows = topic(name, "drift"), topic(name, "rows")
    with admin(testbed) as client:
        client.alter_configs([ConfigResource(ConfigResourceType.TOPIC, drift, {"retention.ms": "60000"})])
        client.create_partitions({rows: 3})
    for _ in range(2):
        with pytest.raises(Stop) as caught:
            create_topics(testbed.kafka, name)
        assert f"{drift}: retention.ms is 60000, not -1" in str(caught.value)
        assert f"{rows}: partitions is 3, not 1" in str(caught.value)


def test_topics_of_an_earlier_version_get_small_files(testbed: Testbed) -> None:
    """Kafka frees the disk of deleted records by whole files, and by default a file has 1 GB."""
    name = f"t{uuid4().hex[:8]}"
    create_topics(testbed.kafka, name)
    resource = ConfigResource(ConfigResourceType.TOPIC, topic(name, "rows"), {"segment.bytes": str(2**30)})
    with admin(testbed) as client:

        def size() -> int:
            found = client.describe_configs([resource], config_filter="all")["topic"][topic(name, "rows")]
            return int(found["segment.bytes"]["value"])

        client.alter_configs([resource])
        wait_until(lambda: size() == 2**30, 10, "the broker shows the size of an earlier version")
        create_topics(testbed.kafka, name)
        wait_until(lambda: size() == SEGMENT_BYTES, 10, "the broker shows the new size")


@pytest.mark.failure("F253")
def test_only_a_deployment_without_rows_gets_limits(fresh_testbed: Testbed) -> None:
    """One that an earlier version began has rows, and keeps them. A limit that is stored does not change."""
    query = sa.select(limits.c.name, limits.c.value)
    assert dict(map(tuple, fresh_testbed.sql(query))) == DEFAULT_LIMITS
    execute(fresh_testbed, "admin", "UPDATE {PIPELINE}.limits SET value = 7")
    fresh_testbed.prepare()
    assert {row.value for row in fresh_testbed.sql(query)} == {7}
    execute(fresh_testbed, "admin", "DELETE FROM {PIPELINE}.limits")
    publish_chunks(fresh_testbed.log, fresh_testbed.dataset.name, 1, 0, [[{"price": 1}]])
    assert fresh_testbed.prepare().returncode == 0
    assert fresh_testbed.sql(query) == []


def test_without_kafka_the_job_retries(monkeypatch: pytest.MonkeyPatch) -> None:
    """The job may start before Kafka does: the error of kafka-python becomes Retry."""

    def no_broker(**_settings: object) -> None:
        raise KafkaTimeoutError("no broker answered")

    monkeypatch.setattr("veleta.adapters.kafka_clients._AdminClient", no_broker)
    with pytest.raises(Retry, match="no broker answered") as caught:
        create_topics(kafka_login("127.0.0.1:9"), "d")
    assert caught.value.dependency == "kafka"


def test_a_new_column_is_added_as_null(fresh_testbed: Testbed) -> None:
    """Existing rows have no value in it. The new drift statistics have their columns too."""
    raw = f"{fresh_testbed.prefix}RAW_DATA.{fresh_testbed.dataset.name}"
    execute(fresh_testbed, "admin", "INSERT INTO {RAW_DATA}.{d} (epoch, number, row_no) VALUES (1, 0, 0)")
    change(fresh_testbed, "[cleaning]\n", NEW_COLUMN)
    change(fresh_testbed, "[example]\n", NEW_EXAMPLE)
    done = fresh_testbed.prepare()
    assert done.returncode == 0, done.stderr
    assert [tuple(row) for row in fresh_testbed.sql(sa.text(f"SELECT garage FROM {raw}"))] == [(None,)]
    pipeline_columns = {row[1] for row in everything(fresh_testbed)["columns of PIPELINE"]}
    assert {"garage_mean", "garage_std", "garage_50", "garage_75"} <= pipeline_columns
    again = fresh_testbed.prepare()
    assert again.returncode == 0, again.stderr


def test_a_new_column_of_a_fixed_table_is_added(fresh_testbed: Testbed) -> None:
    """To a table of an earlier version that had no such column."""
    before = everything(fresh_testbed)
    execute(fresh_testbed, "admin", "ALTER TABLE {PIPELINE}.trainings DROP COLUMN profile")
    assert everything(fresh_testbed) != before
    done = fresh_testbed.prepare()
    assert done.returncode == 0, done.stderr
    assert everything(fresh_testbed) == before


def test_a_new_index_is_added(fresh_testbed: Testbed) -> None:
    """To a table of an earlier version that had no such index."""
    before = everything(fresh_testbed)
    for kind in ("new", "refused"):
        execute(fresh_testbed, "admin", f"DROP INDEX received_at ON {{RAW_DATA}}.{kind}_{{d}}")
    assert everything(fresh_testbed) != before
    done = fresh_testbed.prepare()
    assert done.returncode == 0, done.stderr
    assert everything(fresh_testbed) == before


@pytest.mark.failure("F38")
def test_a_retyped_column_is_refused(fresh_testbed: Testbed) -> None:
    """The values would change their meaning. The message shows what to do, and nothing is changed."""
    before = everything(fresh_testbed)
    change(fresh_testbed, 'title = "Broker"\nkind = "identifier"', 'title = "Broker"\nkind = "category"')
    change(fresh_testbed, "brokered_by = 101640.0", 'brokered_by = "A"')
    done = fresh_testbed.prepare()
    assert done.returncode == 1
    assert "brokered_by is double in the table but declared as varchar" in done.stderr
    assert "Declare it as it was, or use a new deployment for the changed dataset" in done.stderr
    assert everything(fresh_testbed) == before


@pytest.mark.failure("F38")
def test_a_removed_column_is_refused(fresh_testbed: Testbed) -> None:
    """Its values would be lost. The message names it, and nothing is changed."""
    before = everything(fresh_testbed)
    change(fresh_testbed, '[[columns]]\nname = "brokered_by"\ntitle = "Broker"\nkind = "identifier"\n', "")
    change(fresh_testbed, "brokered_by = 101640.0\n", "")
    done = fresh_testbed.prepare()
    assert done.returncode == 1
    assert "brokered_by is in the table but not declared" in done.stderr
    assert everything(fresh_testbed) == before


def test_the_job_fails_with_one_clear_line(testbed: Testbed) -> None:
    """The error without a traceback, and the exit code 1."""
    done = testbed.prepare(DATASET="nowhere.toml")
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1].startswith("prepare: DATASET=nowhere.toml: cannot read nowhere.toml")
    assert "Traceback" not in done.stderr


def test_a_second_run_sets_new_passwords(fresh_testbed: Testbed) -> None:
    """The new one is valid, the old one is not."""
    new = fresh_testbed.mysql("drift").model_copy(update={"password": SecretStr("another'\"\\% password")})
    assert fresh_testbed.prepare(MYSQL_DRIFT_PASSWORD=new.password.get_secret_value()).returncode == 0
    assert login(new)
    with pytest.raises(OperationalError, match="Access denied"):
        login(fresh_testbed.mysql("drift"))


@pytest.mark.parametrize(
    ("user", "statement"),
    [
        ("loader", "DELETE FROM {RAW_DATA}.{d} WHERE epoch < 0"),
        ("loader", "DELETE FROM {CLEAN_DATA}.{d} WHERE epoch < 0"),
        ("loader", "UPDATE {PIPELINE}.batches SET finding = NULL WHERE epoch < 0"),
        ("loader", "SELECT * FROM {PIPELINE}.marks_loader FOR UPDATE"),
        ("drift", "DELETE FROM {PIPELINE}.drift_reports WHERE epoch < 0"),
        ("drift", "DELETE FROM {PIPELINE}.drift_metrics WHERE epoch < 0"),
        ("drift", "DELETE FROM {PIPELINE}.batch_comparison WHERE epoch < 0"),
        ("trainer", "DELETE FROM {PIPELINE}.trainings WHERE version < 0"),
        ("trainer", "DELETE FROM {PIPELINE}.promotions WHERE seq < 0"),
        ("trainer", "DELETE FROM {PIPELINE}.outbox_trainer WHERE id < 0"),
        ("inference", INSERT_REQUEST),
        ("inference", "SELECT request_id FROM {RAW_DATA}.new_{d}"),
        ("retention", "DELETE FROM {RAW_DATA}.new_{d} WHERE received_at < '2000-01-01' LIMIT 1"),
        ("retention", "DELETE FROM {RAW_DATA}.refused_{d} WHERE client_request_id = 'x' LIMIT 1"),
        ("retention", "DELETE FROM {PIPELINE}.purges WHERE purged_at < '2000-01-01'"),
        ("reader", "SELECT COUNT(*), MAX(answered_at) FROM {RAW_DATA}.new_{d}"),
        ("reader", "SELECT COUNT(*) FROM {PIPELINE}.promotions, {RAW_DATA}.{d}, {CLEAN_DATA}.{d}"),
        ("requests_reader", "SELECT * FROM {RAW_DATA}.new_{d}, {RAW_DATA}.refused_{d}, {PIPELINE}.promotions"),
    ],
)  # fmt: skip
def test_each_user_has_the_rights_it_needs(testbed: Testbed, user: str, statement: str) -> None:
    """On its own tables, and on the views of its own rows."""
    execute(testbed, user, statement)


@pytest.mark.failure("F61")
@pytest.mark.parametrize(
    ("user", "statement"),
    [
        ("loader", "DELETE FROM {PIPELINE}.promotions"),
        ("loader", "SELECT * FROM {PIPELINE}.drift_reports"),
        ("loader", "SELECT * FROM {RAW_DATA}.new_{d}"),
        ("drift", "SELECT * FROM {PIPELINE}.batches"),
        ("drift", "DELETE FROM {CLEAN_DATA}.{d}"),
        ("trainer", "DELETE FROM {PIPELINE}.batches"),
        ("trainer", "SELECT * FROM {RAW_DATA}.{d}"),
        ("inference", "SELECT * FROM {RAW_DATA}.{d}"),
        ("inference", "SELECT prediction FROM {RAW_DATA}.new_{d}"),
        ("inference", "INSERT INTO {PIPELINE}.marks VALUES ('inference', 't', 0, 0)"),
        ("inference", "SELECT * FROM {PIPELINE}.promotions"),
        ("retention", "SELECT prediction FROM {RAW_DATA}.new_{d}"),
        ("retention", "SELECT body FROM {RAW_DATA}.refused_{d}"),
        ("retention", "UPDATE {RAW_DATA}.new_{d} SET client_request_id = NULL"),
        ("retention", INSERT_REQUEST),
        *(("retention", f"DELETE FROM {table}") for table in (
            "{PIPELINE}.batches", "{PIPELINE}.promotions", "{PIPELINE}.marks",
        )),
        *((user, f"DELETE FROM {{RAW_DATA}}.{kind}_{{d}}") for user in NAMES if user != "retention"
          for kind in ("new", "refused")),
        ("reader", "DELETE FROM {PIPELINE}.batches"),
        ("reader", "INSERT INTO {PIPELINE}.marks VALUES ('reader', 't', 0, 0)"),
        ("reader", "UPDATE {RAW_DATA}.new_{d} SET answered_at = NOW()"),
        ("requests_reader", "UPDATE {RAW_DATA}.new_{d} SET item = 1"),
        *((user, statement) for user in NAMES for statement in (
            "CREATE TABLE {RAW_DATA}.more (a INT)", "DROP TABLE {PIPELINE}.marks",
            "ALTER TABLE {RAW_DATA}.{d} ADD x INT", "TRUNCATE {PIPELINE}.batches", "CREATE USER another",
            "SELECT * FROM mysql.user",
        )),
    ],
)  # fmt: skip
def test_no_user_has_other_rights(testbed: Testbed, user: str, statement: str) -> None:
    """MySQL denies the statement."""
    with pytest.raises(OperationalError, match="denied"):
        execute(testbed, user, statement)


def execute(testbed: Testbed, user: str, statement: str) -> None:
    """Run a statement as one of the deployment's users, with the names of the schemas inserted."""
    names = {schema: f"{testbed.prefix}{schema}" for schema in SCHEMAS}
    engine = mysql_engine(testbed.mysql(user))
    try:
        with engine.begin() as connection:
            connection.exec_driver_sql(statement.format(d=testbed.dataset.name, **names))
    finally:
        engine.dispose()


def login(settings: MysqlSettings) -> bool:
    """Whether the login succeeds."""
    engine = mysql_engine(settings)
    try:
        with engine.connect():
            return True
    finally:
        engine.dispose()
