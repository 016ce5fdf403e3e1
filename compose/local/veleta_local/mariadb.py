"""MariaDB, which takes the place of MySQL in the local run."""

import os

from veleta_local import downloads, subprocesses
from veleta_local.addresses import HOST
from veleta_local.deployment import Deployment
from veleta_local.files import fresh_folder, write_private
from veleta_local.supervise import Program, base_environment

TEMPORARY = "mysql-tmp"

# The server runs this at every start before it listens. The administrator gets the run's password; root and the
# anonymous user are deleted.
_USERS = """\
DELETE FROM mysql.global_priv WHERE User IN ('', 'root');
FLUSH PRIVILEGES;
CREATE USER IF NOT EXISTS {admin};
ALTER USER {admin} IDENTIFIED BY '{password}';
GRANT ALL PRIVILEGES ON *.* TO {admin} WITH GRANT OPTION;
"""

# skip-ssl: the server would generate an RSA key for seconds at each start, and only this machine connects.
_OPTIONS = """\
character-set-server=utf8mb4
collation-server=utf8mb4_bin
skip-name-resolve
innodb-buffer-pool-size=256M
innodb-flush-log-at-trx-commit=1
max-allowed-packet=64M
max-connections=200
performance-schema=OFF
skip-ssl
"""


def program(deployment: Deployment) -> Program:
    """The server. Its unix socket is in the folder with the short path, its data are in the home.

    A server deletes all temporary tables in `tmpdir` when it starts, so each server has a `tmpdir` of its own.
    """
    options = {
        "basedir": downloads.folder() / "mariadb",
        "datadir": deployment.home / "mysql",
        "tmpdir": deployment.home / TEMPORARY,
        "init-file": deployment.home / "supervisor/mysql.sql",
        "socket": deployment.sockets / "mysql.sock",
        "pid-file": deployment.sockets / "mysql.pid",
        "bind-address": HOST,
        "port": deployment.mysql_port,
    }
    given = [f"--{name}={value}" for name, value in options.items()]
    fixed = [f"--{option}" for option in _OPTIONS.split()]
    command = [str(downloads.folder() / "mariadb/bin/mariadbd"), "--no-defaults", *_as_root(), *given, *fixed]
    return Program(command, {})


def provision(deployment: Deployment) -> None:
    """Write the SQL that the server runs first, and create the system tables if there are none."""
    admin = f"'{deployment.mysql_user}'@'{HOST}'"
    users = _USERS.format(admin=admin, password=deployment.mysql_password)
    write_private(deployment.folder("supervisor") / "mysql.sql", users)
    deployment.folder(TEMPORARY)
    if not (deployment.home / "mysql").exists():
        _install(deployment)


def _install(deployment: Deployment) -> None:
    """Create the system tables without mariadb-install-db, a shell script that breaks at a space in a path."""
    base = downloads.folder() / "mariadb"
    tables = (base / "share/mariadb_system_tables.sql").read_text(encoding="utf-8")
    with fresh_folder(deployment.home / "mysql") as fresh:
        options = [f"--basedir={base}", f"--datadir={fresh}", f"--tmpdir={deployment.home / TEMPORARY}"]
        command = [base / "bin/mariadbd", "--no-defaults", *_as_root(), "--bootstrap", *options]
        failure = "MariaDB's system tables could not be created"
        statements = f"CREATE DATABASE mysql;\nUSE mysql;\n{tables}"
        subprocesses.run(
            command, failure, folder=deployment.home, environment=base_environment(), standard_input=statements
        )


def _as_root() -> list[str]:
    """MariaDB runs as root only with this option."""
    return [] if os.getuid() else ["--user=root"]
