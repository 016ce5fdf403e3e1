"""Which requests were purged, so that they do not come back out of a journal."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.mysql import DATETIME, VARCHAR

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Create the table."""
    name = VARCHAR(255, charset="utf8mb4", collation="utf8mb4_bin")
    op.create_table(
        "purges",
        sa.Column("name", name, primary_key=True, comment="a request's id, or its client's name for it"),
        sa.Column("purged_at", DATETIME(fsp=6), nullable=False),
    )
