"""The fixed tables of PIPELINE."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.mysql import DATETIME, LONGBLOB, VARCHAR

revision = "0001"
down_revision = None


def text(length: int) -> VARCHAR:
    """Text that is compared byte by byte."""
    return VARCHAR(length, charset="utf8mb4", collation="utf8mb4_bin")


def moment() -> DATETIME:
    """A time in UTC, to the microsecond."""
    return DATETIME(fsp=6)


def upgrade() -> None:
    """Create them."""
    op.create_table(
        "batches",
        sa.Column("epoch", sa.Integer(), primary_key=True, autoincrement=False),
        sa.Column("number", sa.Integer(), primary_key=True, autoincrement=False),
        sa.Column("state", text(16), nullable=False),
        sa.Column("received", sa.Integer()),
        sa.Column("cleaned", sa.Integer()),
        sa.Column("rejected", sa.JSON(), comment="rejected rows by reason"),
        sa.Column("digest", text(64)),
        sa.Column("finding", sa.Text()),
        sa.Column("opened_at", moment()),
        sa.Column("closed_at", moment()),
        sa.Column("loaded_at", moment()),
    )
    op.create_table(
        "datasets",
        sa.Column("digest", text(64), primary_key=True),
        sa.Column("name", text(64), nullable=False),
        sa.Column("file", sa.Text(), nullable=False),
        sa.Column("declared_at", moment(), nullable=False),
    )
    op.create_table(
        "drift_metrics",
        sa.Column("epoch", sa.Integer(), primary_key=True, autoincrement=False),
        sa.Column("number", sa.Integer(), primary_key=True, autoincrement=False),
        sa.Column("column_name", text(64), primary_key=True),
        sa.Column("statistic", text(16), primary_key=True),
        sa.Column("old_value", sa.Double()),
        sa.Column("new_value", sa.Double()),
        sa.Column("relative_change", sa.Double()),
        sa.Column("threshold", sa.Double(), nullable=False),
        sa.Column("verdict", text(16), nullable=False),
        sa.Column("note", text(128), nullable=False),
    )
    op.create_table(
        "drift_reports",
        sa.Column("epoch", sa.Integer(), primary_key=True, autoincrement=False),
        sa.Column("number", sa.Integer(), primary_key=True, autoincrement=False),
        sa.Column("previous", sa.Integer()),
        sa.Column("verdict", text(16), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("policy", text(64), nullable=False),
        sa.Column("assessed_at", moment(), nullable=False),
    )
    op.create_table(
        "marks",
        sa.Column("service", text(32), primary_key=True),
        sa.Column("topic", text(128), primary_key=True),
        sa.Column("partition_no", sa.Integer(), primary_key=True, autoincrement=False),
        sa.Column("next_offset", sa.BigInteger(), nullable=False),
    )
    op.create_table(
        "outbox",
        sa.Column("id", sa.BigInteger(), primary_key=True, autoincrement=True),
        sa.Column("service", text(32), nullable=False, index=True),
        sa.Column("topic", text(128), nullable=False),
        sa.Column("record_key", text(255), nullable=False),
        sa.Column("headers", sa.JSON(), nullable=False),
        sa.Column("value", LONGBLOB(), nullable=False),
    )
    op.create_table(
        "promotions",
        sa.Column("seq", sa.Integer(), primary_key=True, autoincrement=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("previous", sa.Integer()),
        sa.Column("decision", text(16), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("actor", text(64), nullable=False),
        sa.Column("cause", text(128), unique=True, comment="the request to train that led here"),
        sa.Column("decided_at", moment(), nullable=False),
    )
    op.create_table(
        "trainings",
        sa.Column("request_id", text(128), primary_key=True),
        sa.Column("state", text(16), nullable=False),
        sa.Column("cause", sa.JSON(), nullable=False),
        sa.Column("merged_into", text(128)),
        sa.Column("recipe", sa.JSON()),
        sa.Column("run_id", text(64)),
        sa.Column("version", sa.Integer()),
        sa.Column("metrics", sa.JSON()),
        sa.Column("failure", sa.Text()),
        sa.Column("attempts", sa.Integer(), nullable=False, server_default="0"),
        sa.Column("requested_at", moment(), nullable=False),
        sa.Column("started_at", moment()),
        sa.Column("ended_at", moment()),
    )
