"""Who may act: the lease of the one trainer."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.mysql import DATETIME, VARCHAR

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Create the table."""
    text = VARCHAR(32, charset="utf8mb4", collation="utf8mb4_bin")
    op.create_table(
        "leases",
        sa.Column("name", text, primary_key=True),
        sa.Column("holder", text, nullable=False),
        sa.Column("fence", sa.BigInteger(), nullable=False, comment="grows with each holder"),
        sa.Column("expires_at", DATETIME(fsp=6), nullable=False),
    )
