"""Creates the MySQL users with their passwords, their hosts and their rights."""

from collections.abc import Iterator
from ipaddress import IPv4Address, IPv4Network
from pathlib import Path

import sqlalchemy as sa
from pydantic import SecretStr

from veleta.dataset import Dataset
from veleta.users import USERS
from veleta_prepare.settings import PrepareSettings
from veleta_prepare.tables import schema_name

ROUTES = Path("/proc/net/route")


def create_users(connection: sa.Connection, dataset: Dataset, settings: PrepareSettings) -> None:
    """Create the users that are missing, set all passwords, and grant each user its rights and no others.

    A user can log in only from the hosts of this deployment. Users of the same name for other hosts are dropped.
    """
    hosts = settings.user_hosts or _hosts(connection)
    for declared in USERS:
        password: SecretStr = getattr(settings.users, f"{declared.name}_password")
        name = f"{settings.mysql.prefix}{declared.name}"
        user = f"'{name}'@'{hosts}'"
        for verb in ("CREATE USER IF NOT EXISTS", "ALTER USER"):
            connection.execute(
                sa.text(f"{verb} {user} IDENTIFIED BY :password"), {"password": password.get_secret_value()}
            )
        connection.execute(sa.text(f"REVOKE ALL PRIVILEGES, GRANT OPTION FROM {user}"))
        for table, rights in declared.grants.items():
            schema, _, table_name = table.format(dataset=dataset.name).partition(".")
            grant = f"GRANT {rights} ON `{schema_name(connection, schema)}`.`{table_name}` TO {user}"
            connection.execute(sa.text(grant))
        _drop_others(connection, name, hosts)


def _drop_others(connection: sa.Connection, name: str, hosts: str) -> None:
    others = sa.text("SELECT host FROM mysql.user WHERE user = :name AND host != :hosts")
    for host in connection.scalars(others, {"name": name, "hosts": hosts}).all():
        connection.execute(sa.text(f"DROP USER '{name}'@'{host}'"))


def _hosts(connection: sa.Connection) -> str:
    """The network in which the server sees this job, or this machine alone if it sees the loopback address."""
    address = IPv4Address(connection.scalar(sa.text("SELECT SUBSTRING_INDEX(USER(), '@', -1)")))
    networks = (each for each in _networks(ROUTES.read_text()) if address in each)
    return next((f"{each.network_address}/{each.netmask}" for each in networks), str(address))


def _networks(routes: str) -> Iterator[IPv4Network]:
    """The networks of this host's interfaces, from the kernel's table of routes."""
    for line in routes.splitlines()[1:]:
        columns = line.split()
        destination, mask = (int.from_bytes(bytes.fromhex(columns[number]), "little") for number in (1, 7))
        if mask:  # the default route has none
            yield IPv4Network((destination, str(IPv4Address(mask))))
