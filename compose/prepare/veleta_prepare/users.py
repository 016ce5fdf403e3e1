"""Each service logs in as its own user, with the rights that its tables need and no others: this is the list."""

import sqlalchemy as sa
from pydantic import SecretStr

from veleta.dataset import Dataset
from veleta_prepare.settings import PrepareSettings
from veleta_prepare.tables import schema_name

WRITE = "SELECT, INSERT, UPDATE, DELETE"
FORGET = "DELETE, SELECT (request_id, client_request_id, received_at)"
OWN_ROWS = {"PIPELINE.outbox": WRITE, "PIPELINE.marks": WRITE}


def rights(dataset: str) -> dict[str, dict[str, str]]:
    """By user, by table: its rights."""
    return {
        "loader": {
            **OWN_ROWS,
            "PIPELINE.batches": WRITE,
            "PIPELINE.datasets": WRITE,
            f"RAW_DATA.{dataset}": WRITE,
            f"CLEAN_DATA.{dataset}": WRITE,
        },
        "drift": {
            **OWN_ROWS,
            "PIPELINE.drift_reports": WRITE,
            "PIPELINE.drift_metrics": WRITE,
            "PIPELINE.batch_comparison": WRITE,
        },
        "trainer": {
            **OWN_ROWS,
            "PIPELINE.trainings": WRITE,
            "PIPELINE.promotions": WRITE,
            "PIPELINE.leases": WRITE,
        },
        "inference": {
            f"RAW_DATA.new_{dataset}": "INSERT, SELECT (request_id)",
            f"RAW_DATA.refused_{dataset}": "INSERT, SELECT (request_id)",
        },
        "retention": {
            f"RAW_DATA.new_{dataset}": FORGET,
            f"RAW_DATA.refused_{dataset}": FORGET,
            "PIPELINE.purges": WRITE,
        },
        "reader": dict.fromkeys(("PIPELINE.*", "RAW_DATA.*", "CLEAN_DATA.*"), "SELECT"),
    }


def make_users(connection: sa.Connection, dataset: Dataset, settings: PrepareSettings) -> None:
    """Create the users that are missing, set their passwords, and give them their rights and no others."""
    for name, tables in rights(dataset.name).items():
        password: SecretStr = getattr(settings.users, f"{name}_password")
        user = f"'{settings.mysql.prefix}{name}'@'%'"
        for verb in ("CREATE USER IF NOT EXISTS", "ALTER USER"):
            connection.execute(
                sa.text(f"{verb} {user} IDENTIFIED BY :password"), {"password": password.get_secret_value()}
            )
        connection.execute(sa.text(f"REVOKE ALL PRIVILEGES, GRANT OPTION FROM {user}"))
        for table, what in tables.items():
            schema, _, name_in_schema = table.partition(".")
            target = name_in_schema if name_in_schema == "*" else f"`{name_in_schema}`"
            grant = f"GRANT {what} ON `{schema_name(connection, schema)}`.{target} TO {user}"
            connection.execute(sa.text(grant))
