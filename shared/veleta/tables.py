"""All tables. The tables of PIPELINE are fixed; the tables with dataset columns follow from the dataset file.

This is the only declaration of a column. The job `prepare` adds new tables, columns and indexes to existing databases.
A column that is added later must be nullable or have a server default.

The schemas PIPELINE, RAW_DATA and CLEAN_DATA are translated to the names of a deployment (`schemas`), so that tests and
deployments can share a server.
"""

from dataclasses import dataclass
from functools import cache
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.mysql import DATETIME, LONGBLOB, LONGTEXT, TEXT, VARCHAR
from sqlalchemy.schema import SchemaItem

from veleta.api_keys import MAX_NAME as MAX_KEY_NAME
from veleta.dataset import MAX_TEXT, Column, Dataset
from veleta.events.catalogue import MAX_SLICE
from veleta.users import view_name

SCHEMAS = ("PIPELINE", "RAW_DATA", "CLEAN_DATA")
STATISTICS = ("mean", "std", "50", "75")
"""The rows of pandas' `describe()` that drift compares, with the names of the columns in batch_comparison."""
MAX_CLIENT_REQUEST_ID = 255
"""Characters of a client's X-Request-ID."""
MAX_ADDRESS = 64
"""Characters of an IP address, with the zone of IPv6."""
MAX_FINDINGS_LENGTH = 10_000
"""Characters of a batch's findings that a table stores; the topics have all."""


def schemas(prefix: str) -> dict[str | None, str | None]:
    """The names of the schemas in a deployment: `schema_translate_map` of SQLAlchemy."""
    return {name: f"{prefix}{name}" for name in SCHEMAS}


def _text(length: int) -> VARCHAR:
    """Text that is compared byte by byte."""
    return VARCHAR(length, charset="utf8mb4", collation="utf8mb4_bin")


def _time(name: str, *, required: bool = False) -> sa.Column[Any]:
    """A time in UTC, to the microsecond."""
    return sa.Column(name, DATETIME(fsp=6), nullable=not required)


def _batch_key() -> list[sa.Column[Any]]:
    return [sa.Column(name, sa.Integer, primary_key=True, autoincrement=False) for name in ("epoch", "number")]


pipeline = sa.MetaData(schema="PIPELINE")

batches = sa.Table(
    "batches",
    pipeline,
    *_batch_key(),
    sa.Column("state", _text(16), nullable=False),
    sa.Column("received", sa.Integer),
    sa.Column("cleaned", sa.Integer),
    sa.Column("rejected", sa.JSON, comment="rejected rows by reason"),
    sa.Column("digest", _text(64)),
    sa.Column("finding", sa.Text),
    _time("opened_at"),
    _time("closed_at"),
    _time("loaded_at"),
    sa.Index("ix_batches_state", "state"),
    sa.Index("ix_batches_loaded_at", "loaded_at"),
)

manifests = sa.Table(
    "manifests",
    pipeline,
    sa.Column("service", _text(32), primary_key=True),
    *_batch_key(),
    sa.Column("next_offset", sa.BigInteger, nullable=False, comment="of the record after it in the topic `batches`"),
    sa.Column("manifest", sa.JSON, nullable=False, comment="batch.closed without its findings"),
    sa.Index("ix_manifests_next_offset", "service", "next_offset"),
)

drift_reports = sa.Table(
    "drift_reports",
    pipeline,
    *_batch_key(),
    sa.Column("previous", sa.Integer),
    sa.Column("verdict", _text(16), nullable=False),
    sa.Column("reason", sa.Text, nullable=False),
    sa.Column("policy", _text(64), nullable=False),
    _time("assessed_at", required=True),
    sa.Column("findings", sa.Text, comment="one a line"),
    sa.Column("baseline", sa.JSON(none_as_null=True), comment="what the next batch is compared with"),
    sa.Column("champion", sa.Integer, comment="the version whose errors were tested"),
    sa.Column("risk", sa.JSON(none_as_null=True), comment="what the policy sequential knows of it"),
    sa.Column("importance", sa.JSON(none_as_null=True), comment="each column's share of its SHAP values"),
    sa.Column("pair", sa.JSON(none_as_null=True), comment="its errors and those of the version that it replaced"),
    sa.Column("growth", sa.JSON(none_as_null=True), comment="the rows since its training"),
)

drift_metrics = sa.Table(
    "drift_metrics",
    pipeline,
    *_batch_key(),
    sa.Column("column_name", _text(64), primary_key=True),
    sa.Column("statistic", _text(16), primary_key=True),
    sa.Column("old_value", sa.Double),
    sa.Column("new_value", sa.Double),
    sa.Column("relative_change", sa.Double),
    sa.Column("threshold", sa.Double, nullable=False),
    sa.Column("verdict", _text(16), nullable=False),
    sa.Column("note", _text(128), nullable=False),
    sa.Column("previous", sa.Integer, comment="the batch that has the old value"),
)

drift_verdicts = sa.Table(
    "drift_verdicts",
    pipeline,
    *_batch_key(),
    sa.Column("policy", _text(64), primary_key=True),
    sa.Column("verdict", _text(16), nullable=False),
    sa.Column("reason", sa.Text, nullable=False),
    sa.Column("parameters", _text(64), nullable=False, comment="SHA-256 of the policy's parameters"),
    sa.Column("unweighted", _text(16), comment="the verdict without weights of columns, if they have some"),
)

drift_tests = sa.Table(
    "drift_tests",
    pipeline,
    *_batch_key(),
    sa.Column("position", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("reference", _text(16), nullable=False, comment="champion, or previous: the batch before"),
    sa.Column("arm", _text(16), nullable=False),
    sa.Column("subject", _text(MAX_SLICE), nullable=False, comment="a column, or a slice of the rows"),
    sa.Column("test", _text(64), nullable=False),
    sa.Column("p_value", sa.Double, nullable=False, comment="adjusted for the number of tests"),
    sa.Column("effect", sa.Double, nullable=False),
    sa.Column("effect_limit", sa.Double, nullable=False),
    sa.Column("fires", sa.SmallInteger, nullable=False),
    sa.Column("note", sa.Text, nullable=False),
    sa.Column("level", sa.Double, nullable=False, comment="the greatest p-value with which it fires"),
)

histograms = sa.Table(
    "histograms",
    pipeline,
    *_batch_key(),
    sa.Column("column_name", _text(64), primary_key=True),
    sa.Column("position", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("lower_bound", sa.Double, comment="the numbers are above it"),
    sa.Column("upper_bound", sa.Double, comment="the numbers are up to it"),
    sa.Column("category", _text(255), comment="NULL for numbers, and for the rest of the categories"),
    sa.Column("share", sa.Double, nullable=False, comment="of the batch's rows"),
    sa.Column("reference_share", sa.Double, comment="of what the batch is compared with"),
    sa.Column("reference", _text(16), comment="champion, or previous: the batch before"),
)

batch_errors = sa.Table(
    "batch_errors",
    pipeline,
    *_batch_key(),
    sa.Column("version", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("measured_rows", sa.Integer, nullable=False, comment="that no version has learnt"),
    sa.Column("mae", sa.Double, nullable=False),
    sa.Column("bias", sa.Double, nullable=False, comment="mean of log(target) - log(prediction)"),
)

retrain_verdicts = sa.Table(
    "retrain_verdicts",
    pipeline,
    *_batch_key(),
    sa.Column("version", sa.Integer, nullable=False),
    sa.Column("previous", sa.Integer, nullable=False, comment="the version that it replaced"),
    sa.Column("measured_rows", sa.Integer, nullable=False),
    sa.Column("mae", sa.Double, nullable=False),
    sa.Column("previous_mae", sa.Double, nullable=False),
    sa.Column("relative_change", sa.Double, nullable=False),
    sa.Column("p_value", sa.Double, nullable=False),
    sa.Column("verdict", _text(16), nullable=False, comment="helped, no difference or harmed"),
    _time("judged_at", required=True),
    sa.Column("measured_batches", sa.Integer, nullable=False, server_default="1"),
    sa.Index("ix_retrain_verdicts_version", "version"),
)

trainings = sa.Table(
    "trainings",
    pipeline,
    sa.Column("request_id", _text(128), primary_key=True),
    sa.Column("state", _text(16), nullable=False),
    sa.Column("cause", sa.JSON, nullable=False),
    sa.Column("merged_into", _text(128)),
    sa.Column("recipe", sa.JSON),
    sa.Column("run_id", _text(64)),
    sa.Column("version", sa.Integer),
    sa.Column("metrics", sa.JSON),
    sa.Column("failure", sa.Text),
    sa.Column("attempts", sa.Integer, nullable=False, server_default="0"),
    _time("requested_at", required=True),
    _time("started_at"),
    _time("ended_at"),
    sa.Column("fits", sa.Integer, nullable=False, server_default="0"),
    sa.Column("profile", sa.JSON(none_as_null=True), comment="what the version learnt from: see model.registered"),
    sa.Index("ix_trainings_state", "state"),
    sa.Index("ix_trainings_version", "version"),
    sa.Index("ix_trainings_requested_at", "requested_at"),
)

promotions = sa.Table(
    "promotions",
    pipeline,
    sa.Column("seq", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("version", sa.Integer, nullable=False),
    sa.Column("previous", sa.Integer),
    sa.Column("decision", _text(16), nullable=False),
    sa.Column("reason", sa.Text, nullable=False),
    sa.Column("actor", _text(64), nullable=False),
    # Or the command of a person: the comment is that of the first release, because `prepare` changes no column.
    sa.Column("cause", _text(128), unique=True, comment="the request to train that led here"),
    _time("decided_at", required=True),
    sa.Column("gates", sa.JSON(none_as_null=True), comment="what each gate found: name, figures, passed, values"),
)

interval_levels = sa.Table(
    "interval_levels",
    pipeline,
    sa.Column("version", sa.Integer, primary_key=True, autoincrement=False),
    *_batch_key(),
    sa.Column("run_id", _text(64), nullable=False),
    sa.Column("measured_rows", sa.Integer, nullable=False),
    sa.Column("coverage", sa.Double, nullable=False, comment="the share of these rows' prices in their intervals"),
    sa.Column("level_before", sa.Double, nullable=False),
    sa.Column("level", sa.Double, nullable=False),
    _time("adjusted_at", required=True),
)

market_levels = sa.Table(
    "market_levels",
    pipeline,
    sa.Column("seq", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("version", sa.Integer, nullable=False),
    sa.Column("run_id", _text(64), nullable=False),
    sa.Column("period", sa.Date, nullable=False, comment="its first day"),
    sa.Column("as_of", sa.Date, nullable=False, comment="of the newest row that the level follows"),
    sa.Column("value", sa.Double, nullable=False, comment="as a logarithm, relative to the version's first period"),
    sa.Column("error", sa.Double, nullable=False, comment="the standard error"),
    sa.Column("slope", sa.Double, nullable=False, comment="the part of the value that is an expected change"),
    sa.Column("measured_rows", sa.Integer, nullable=False),
    sa.Column("outcome", _text(16), nullable=False),
    sa.Column("reason", sa.Text, nullable=False),
    sa.Column("cause", _text(128), nullable=False, comment="the batch's last event, or the command"),
    sa.Column("epoch", sa.Integer),
    sa.Column("number", sa.Integer),
    sa.Column("digest", _text(64), nullable=False, comment="of the batch"),
    sa.Column("seen", sa.Double, comment="the level that the batch shows"),
    sa.Column("seen_error", sa.Double),
    sa.Column("waiting", sa.Double, comment="what a batch showed that would move the level too far"),
    sa.Column("waiting_error", sa.Double),
    sa.Column("waiting_as_of", sa.Date),
    sa.Column("pinned", sa.SmallInteger, nullable=False),
    sa.Column("actor", _text(64), comment="who sent the command"),
    sa.Column("earlier", sa.JSON(none_as_null=True), comment="the levels of further periods of the batch"),
    _time("updated_at", required=True),
    sa.Index("ix_market_levels_version", "version"),
)

evaluations = sa.Table(
    "evaluations",
    pipeline,
    sa.Column("version", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("model", _text(64), primary_key=True),
    sa.Column("slice", _text(MAX_SLICE), primary_key=True),
    sa.Column("metric", _text(64), primary_key=True),
    sa.Column("value", sa.Double, nullable=False),
    sa.Column("holdout_rows", sa.Integer, nullable=False, comment="of the slice"),
)

outbox = sa.Table(
    "outbox",
    pipeline,
    sa.Column("id", sa.BigInteger, primary_key=True, autoincrement=True),
    # In the key, so that a REPLACE through the view of one service cannot meet a row of another.
    sa.Column("service", _text(32), primary_key=True),
    sa.Column("topic", _text(128), nullable=False),
    sa.Column("record_key", _text(255), nullable=False),
    sa.Column("headers", sa.JSON, nullable=False),
    sa.Column("value", LONGBLOB, nullable=False),
    sa.Index("ix_outbox_service", "service"),
)

checkpoints = sa.Table(
    "marks",
    pipeline,
    sa.Column("service", _text(32), primary_key=True),
    sa.Column("topic", _text(128), primary_key=True),
    sa.Column("partition_no", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("next_offset", sa.BigInteger, nullable=False),
)


@cache
def own_rows(table: sa.Table, service: str) -> sa.Table:
    """The view of one service's rows. A row of another service is neither found, changed nor inserted there."""
    return table.to_metadata(sa.MetaData(), name=view_name(table.name, service))


leases = sa.Table(
    "leases",
    pipeline,
    sa.Column("name", _text(32), primary_key=True),
    sa.Column("holder", _text(32), nullable=False),
    sa.Column("fence", sa.BigInteger, nullable=False, comment="grows with each holder"),
    _time("expires_at", required=True),
)

purges = sa.Table(
    "purges",
    pipeline,
    sa.Column(
        "name", _text(MAX_CLIENT_REQUEST_ID), primary_key=True, comment="a request's id, or its client's name for it"
    ),
    _time("purged_at", required=True),
)

limits = sa.Table(
    "limits",
    pipeline,
    sa.Column("name", _text(32), primary_key=True, comment="a setting of retention"),
    sa.Column("value", sa.Integer, nullable=False, comment="what it is if no variable sets it"),
)

sweeps = sa.Table(
    "sweeps",
    pipeline,
    sa.Column("name", _text(32), primary_key=True, comment="the service that deletes rows"),
    sa.Column("trusted_at", DATETIME(fsp=6), nullable=False, comment="the time by which rows expired last"),
    sa.Column("doubted_since", DATETIME(fsp=6), comment="if the clock was ahead of it: since when"),
)

versions = sa.Table(
    "versions",
    pipeline,
    sa.Column("name", _text(32), primary_key=True, comment="the program: veleta"),
    sa.Column("version", _text(32), nullable=False, comment="the newest one that used these data"),
)

datasets = sa.Table(
    "datasets",
    pipeline,
    sa.Column("digest", _text(64), primary_key=True),
    sa.Column("name", _text(64), nullable=False),
    sa.Column("file", sa.Text, nullable=False),
    _time("declared_at", required=True),
)


@dataclass(frozen=True)
class DatasetTables:
    """The tables with the columns of a dataset."""

    raw: sa.Table
    clean: sa.Table
    requests: sa.Table
    refused: sa.Table
    comparison: sa.Table


def dataset_tables(dataset: Dataset) -> DatasetTables:
    """Of the dataset d: RAW_DATA.d, CLEAN_DATA.d, RAW_DATA.new_d, RAW_DATA.refused_d, PIPELINE.batch_comparison."""
    metadata = sa.MetaData()
    return DatasetTables(
        raw=sa.Table(
            dataset.name,
            metadata,
            *_row_key(),
            *_columns(dataset),
            sa.Column("rest", sa.JSON(none_as_null=True)),
            schema="RAW_DATA",
        ),
        clean=sa.Table(dataset.name, metadata, *_row_key(), *_columns(dataset), schema="CLEAN_DATA"),
        requests=sa.Table(f"new_{dataset.name}", metadata, *_request_columns(dataset), schema="RAW_DATA"),
        refused=sa.Table(f"refused_{dataset.name}", metadata, *_refused_columns(), schema="RAW_DATA"),
        comparison=sa.Table("batch_comparison", metadata, *_comparison_columns(dataset), schema="PIPELINE"),
    )


def _row_key() -> list[sa.Column[Any]]:
    return [*_batch_key(), sa.Column("row_no", sa.Integer, primary_key=True, autoincrement=False)]


def _columns(dataset: Dataset) -> list[sa.Column[Any]]:
    return [sa.Column(c.name, _type(c)) for c in dataset.columns]


def _type(column: Column) -> sa.types.TypeEngine[Any]:
    if column.numeric:
        return sa.Double()
    return sa.Date() if column.kind == "date" else _text(MAX_TEXT)


def _request_columns(dataset: Dataset) -> list[SchemaItem]:
    return [
        sa.Column("request_id", _text(36), primary_key=True),
        sa.Column("item", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("client_request_id", _text(MAX_CLIENT_REQUEST_ID)),
        _time("received_at", required=True),
        _time("answered_at", required=True),
        *_columns(dataset),
        sa.Column("prediction", sa.Double),
        sa.Column("low", sa.Double),
        sa.Column("high", sa.Double),
        sa.Column("model_version", sa.Integer, nullable=False),
        sa.Column("latency_ms", sa.Double, nullable=False),
        sa.Column("http_status", sa.Integer, nullable=False),
        *_sender_columns(),
        sa.Column(
            "answer",
            LONGTEXT(charset="utf8mb4", collation="utf8mb4_bin"),
            comment="JSON: that of a request with an Idempotency-Key, in its first item",
        ),
        sa.Column("coverage", sa.Double, comment="the share of prices that the intervals shall contain"),
        *(_market_columns() if dataset.market else ()),
        *_request_indexes(),
    ]


def _market_columns() -> list[sa.Column[Any]]:
    return [
        sa.Column("as_of", sa.Date, comment="the day whose price was asked for"),
        sa.Column("market_level", sa.Double, comment="the level of that day, as a logarithm"),
        sa.Column("level_seq", sa.Integer, comment="the update of the served level, 0: of its training"),
    ]


def _refused_columns() -> list[SchemaItem]:
    return [
        sa.Column("request_id", _text(36), primary_key=True),
        sa.Column("client_request_id", _text(MAX_CLIENT_REQUEST_ID)),
        _time("received_at", required=True),
        sa.Column("path", _text(255), nullable=False),
        sa.Column("http_status", sa.Integer, nullable=False),
        sa.Column("reason", _text(255), nullable=False),
        sa.Column("body", TEXT(charset="utf8mb4", collation="utf8mb4_bin"), nullable=False),
        *_sender_columns(),
        *_request_indexes(),
    ]


def _sender_columns() -> list[sa.Column[Any]]:
    return [
        sa.Column("key_name", _text(MAX_KEY_NAME), comment="of the API key, if keys are required"),
        sa.Column("client_address", _text(MAX_ADDRESS)),
    ]


def _request_indexes() -> list[sa.Index]:
    """The columns by which retention finds requests, in addition to their ids."""
    return [sa.Index(name, name) for name in ("client_request_id", "received_at")]


def _comparison_columns(dataset: Dataset) -> list[sa.Column[Any]]:
    return [
        *_batch_key(),
        sa.Column("previous", sa.Integer, nullable=False),
        _time("compared_at", required=True),
        *(sa.Column(f"{name}_{statistic}", sa.Double) for name in dataset.drift_columns for statistic in STATISTICS),
        sa.Column("retrain", sa.SmallInteger, nullable=False),
    ]
