"""Creates the MySQL users with their passwords and their rights."""

import sqlalchemy as sa
from pydantic import SecretStr

from veleta.dataset import Dataset
from veleta.users import USERS
from veleta_prepare.settings import PrepareSettings
from veleta_prepare.tables import schema_name


def create_users(connection: sa.Connection, dataset: Dataset, settings: PrepareSettings) -> None:
    """Create the users that are missing, set all passwords, and grant each user its rights and no others."""
    for declared in USERS:
        password: SecretStr = getattr(settings.users, f"{declared.name}_password")
        user = f"'{settings.mysql.prefix}{declared.name}'@'%'"
        for verb in ("CREATE USER IF NOT EXISTS", "ALTER USER"):
            connection.execute(
                sa.text(f"{verb} {user} IDENTIFIED BY :password"), {"password": password.get_secret_value()}
            )
        connection.execute(sa.text(f"REVOKE ALL PRIVILEGES, GRANT OPTION FROM {user}"))
        for table, rights in declared.grants.items():
            schema, _, name = table.format(dataset=dataset.name).partition(".")
            target = name if name == "*" else f"`{name}`"
            grant = f"GRANT {rights} ON `{schema_name(connection, schema)}`.{target} TO {user}"
            connection.execute(sa.text(grant))
