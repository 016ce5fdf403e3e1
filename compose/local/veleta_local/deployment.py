"""The layout of a run: its folders, ports and passwords, and the environment of each part."""

import hashlib
import json
import os
import secrets
import shlex
from pathlib import Path
from urllib.parse import quote

from pydantic import SecretStr

from veleta.api_keys import PARTS
from veleta.settings import KafkaSettings
from veleta.users import (
    KAFKA_ADMIN,
    KAFKA_USERS,
    LOGINS,
    MLFLOW_WRITERS,
    OPERATOR,
    PASSWORD_VARIABLES,
    kafka_password_variable,
    token_variable,
)
from veleta_local.addresses import HOST, ports
from veleta_local.errors import LocalError
from veleta_local.files import shell_lines, write_private
from veleta_local.run_data import has_rows
from veleta_local.variables import Variables

ROOT = Path(__file__).resolve().parents[3]
PYTHON = ROOT / ".venv/bin/python"

BACKING = ("kafka", "mysql", "mlflow")
SERVICES = ("source", "poller", "loader", "drift", "trainer", "inference", "retention", "monitor")
DISKS = ("kafka", "mysql", "mlflow", "journal", "trainer")
"""The folders of a run that grow. The poller fetches no batch while the disk of one is nearly full."""
ADMIN = "admin"
WITH_ENGINE = ("drift", "trainer")
"""The services with an engine."""
SPARK_SECRET_VARIABLE = "SPARK_SECRET"  # noqa: S105 - the name of a variable
SOURCE_TOKEN_VARIABLE = "SOURCE_TOKEN"  # noqa: S105 - the name of a variable
ADMIN_PASSWORD_VARIABLE = "MYSQL_ADMIN_PASSWORD"  # noqa: S105 - the name of a variable

ALLOCATOR = {"MALLOC_ARENA_MAX": "2", "MALLOC_MMAP_THRESHOLD_": str(2**20)}
"""Makes glibc return memory: by default it keeps a heap for each thread that handled a batch or a request."""


def mysql_clients(host: str, port: int, user: str, password: str) -> dict[str, str]:
    """The variables of clients of MySQL: URLs for SQLAlchemy, and their parts for drivers that take no URL."""
    address = f"{quote(user)}:{quote(password)}@{host}:{port}/"
    return {
        "VELETA_MYSQL_URL": f"mysql+pymysql://{address}",
        "VELETA_MYSQL_ASYNC_URL": f"mysql+asyncmy://{address}",
        "VELETA_MYSQL_HOST": host,
        "VELETA_MYSQL_PORT": str(port),
        "VELETA_MYSQL_USER": user,
        "VELETA_MYSQL_PASSWORD": password,
    }


class Deployment:
    """A run's home folder, and everything that follows from its variables."""

    def __init__(self, home: Path, variables: Variables | None = None) -> None:
        self.home = home.absolute()
        self.saved, self.adjusted = self._load()
        merged = (variables or Variables()).merged_over(self.saved, has_rows=has_rows(self.home))
        self.variables = merged.with_default_input()
        self.ports = ports(self.variables.port_base)
        names = (
            ADMIN_PASSWORD_VARIABLE,
            kafka_password_variable(KAFKA_ADMIN),
            SOURCE_TOKEN_VARIABLE,
            SPARK_SECRET_VARIABLE,
            *PASSWORD_VARIABLES,
            *map(token_variable, MLFLOW_WRITERS),
            *map(_key_variable, PARTS),
        )
        self._new_passwords = {name: secrets.token_urlsafe(24) for name in names}

    @property
    def dataset(self) -> str:
        """The dataset's name, or the path of its file."""
        return self.variables.dataset

    @property
    def services(self) -> tuple[str, ...]:
        """The services of this run, without `source` if an external API is used."""
        return SERVICES[1:] if self.variables.api_url else SERVICES

    @property
    def parts(self) -> tuple[str, ...]:
        return BACKING + self.services

    @property
    def awaited(self) -> tuple[str, ...]:
        """The parts that a start waits for: with manual polling not inference, because there is no model at first."""
        manual = self.variables.poll == "manual"
        return tuple(part for part in self.parts if not (manual and part == "inference"))

    @property
    def sockets(self) -> Path:
        """A folder for temporary files and unix sockets, whose paths have at most 107 characters."""
        digest = hashlib.sha256(os.fsencode(self.home)).hexdigest()[:10]
        return Path(f"/tmp/veleta-{os.getuid()}-{digest}")  # noqa: S108 (created and checked by private_folder)

    @property
    def kafka(self) -> KafkaSettings:
        """Kafka for clients that only read: without a login."""
        return KafkaSettings(bootstrap=f"{HOST}:{self.ports['kafka']}", user=None, password=SecretStr(""))

    @property
    def kafka_operator(self) -> KafkaSettings:
        """Kafka for the commands of people."""
        return self._kafka_as(OPERATOR)

    @property
    def kafka_admin(self) -> KafkaSettings:
        """Kafka with all rights."""
        return self._kafka_as(KAFKA_ADMIN)

    @property
    def mlflow_url(self) -> str:
        return self.url("mlflow")

    @property
    def mlflow_tokens(self) -> dict[str, str]:
        """The token of each part that writes to MLflow."""
        passwords = self._passwords
        return {part: passwords[token_variable(part)] for part in MLFLOW_WRITERS}

    def api_key(self, part: str) -> str:
        """The own API key of one of the PARTS that send requests to inference."""
        return self._passwords[_key_variable(part)]

    @property
    def spark_secret(self) -> str:
        """What the cluster of this run and its sessions must know."""
        return self._passwords[SPARK_SECRET_VARIABLE]

    @property
    def mysql_port(self) -> int:
        return self.ports["mysql"]

    @property
    def mysql_user(self) -> str:
        return ADMIN

    @property
    def mysql_password(self) -> str:
        return self._passwords[ADMIN_PASSWORD_VARIABLE]

    @property
    def mysql_prefix(self) -> str:
        return self.variables.mysql_prefix

    def url(self, part: str) -> str:
        return f"http://{HOST}:{self.ports[part]}"

    def folder(self, name: str) -> Path:
        """A folder of the home, created if it is missing."""
        path = self.home / name
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
        return path

    def log(self, part: str) -> Path:
        return self.home / "logs" / f"{part}.log"

    def save(self) -> None:
        """Save the variables and the passwords for later commands and starts."""
        self.save_passwords()
        write_private(self.home / "run.json", json.dumps(self.variables.given(), indent=2) + "\n")
        self.saved = self.variables

    def save_passwords(self) -> None:
        """Save the passwords, of which a run that was started before keeps its own."""
        write_private(self.folder("") / "secrets", shell_lines(self._passwords))

    def health_url(self, service: str) -> str:
        """The URL of a service's readiness check. For the monitor this is Streamlit's health check."""
        return f"{self.url(service)}{'/_stcore/health' if service == 'monitor' else '/readyz'}"

    def environment(self, service: str) -> dict[str, str]:
        """The environment variables of a service."""
        settings = {f"{service}_{name}".upper(): value for name, value in self._settings(service).items()}
        logins = self._login(service) | self._kafka_login(service) | self._token(service)
        engine = {"ENGINE": self.variables.engine} if service in WITH_ENGINE else {}
        return self._common() | logins | settings | engine | self.variables.extra

    def environment_of_preflight(self) -> dict[str, str]:
        """The check of the input gets what the source and the poller get. It creates no folder."""
        v = self.variables
        inputs = {"SOURCE_CSV": v.csv or "", "API_URL": v.api_url or "", "SCALE": str(v.scale)}
        return {"DATASET": self.dataset, "POLLER_INBOX": str(self.home / "inbox"), **inputs}

    def environment_of_prepare(self) -> dict[str, str]:
        """The job logs in as the administrator, and gets the passwords of all users."""
        passwords = self._passwords
        logins = self._mysql(ADMIN, self.mysql_password) | _kafka_variables(self.kafka_admin)
        return self._common() | logins | {name: passwords[name] for name in PASSWORD_VARIABLES}

    def environment_of_mlflow(self) -> dict[str, str]:
        """The server gets the tokens of all writers. What it writes to its HOME is deleted with the run."""
        tokens = {token_variable(part): token for part, token in self.mlflow_tokens.items()}
        return ALLOCATOR | {"HOME": str(self.home / "mlflow"), **tokens}

    def environment_of_notebooks(self) -> dict[str, str]:
        return self._common() | self._login("notebooks") | {"NOTEBOOKS_PORT": str(self.ports["jupyter"])}

    def environment_of_readers(self) -> dict[str, str]:
        """A process without a login may only read, in Kafka and MLflow."""
        return self._common() | {"KAFKA_BOOTSTRAP": self.kafka.bootstrap}

    def environment_of_scoring(self) -> dict[str, str]:
        """It refuses what inference refuses."""
        return self.environment_of_readers() | {"STRICT": self.variables.strict}

    def environment_of_replay(self) -> dict[str, str]:
        """A replay creates its tables as MySQL's administrator."""
        return self.environment_of_readers() | self._mysql(ADMIN, self.mysql_password)

    def environment_of_clients(self) -> dict[str, str]:
        """The variables of `.veleta/env`, for tools outside the run. No start reads them."""
        login = self._login("notebooks")
        mysql = mysql_clients(HOST, self.mysql_port, login["MYSQL_USER"], login["MYSQL_PASSWORD"])
        published = [part for part in ("mlflow", "inference", "monitor", "source") if part in self.parts]
        urls = {f"VELETA_{part.upper()}_URL": self.url(part) for part in published}
        return {"VELETA_KAFKA": self.kafka.bootstrap, **mysql, **urls}

    def _common(self) -> dict[str, str]:
        return ALLOCATOR | {
            "DATASET": self.dataset,
            "MLFLOW_TRACKING_URI": self.mlflow_url,
        }

    def _mysql(self, user: str, password: str) -> dict[str, str]:
        return {
            "MYSQL_HOST": HOST,
            "MYSQL_PORT": str(self.mysql_port),
            "MYSQL_USER": user,
            "MYSQL_PASSWORD": password,
            "MYSQL_PREFIX": self.mysql_prefix,
        }

    def _login(self, part: str) -> dict[str, str]:
        if not (user := LOGINS.get(part)):
            return {}
        return self._mysql(f"{self.mysql_prefix}{user.name}", self._passwords[user.password_variable])

    def _kafka_as(self, user: str) -> KafkaSettings:
        password = SecretStr(self._passwords[kafka_password_variable(user)])
        name = user if user == KAFKA_ADMIN else f"{self.mysql_prefix}{user}"
        return KafkaSettings(bootstrap=f"{HOST}:{self.ports['kafka-services']}", user=name, password=password)

    def _kafka_login(self, part: str) -> dict[str, str]:
        return _kafka_variables(self._kafka_as(part)) if part in KAFKA_USERS else {}

    def _token(self, part: str) -> dict[str, str]:
        return {"MLFLOW_TRACKING_TOKEN": self.mlflow_tokens[part]} if part in MLFLOW_WRITERS else {}

    def _settings(self, service: str) -> dict[str, str]:
        """The settings of a service that follow from the variables, without the service's prefix."""
        v = self.variables
        settings: dict[str, object] = {"port": self.ports[service], "hosts": v.hosts}
        match service:
            case "source":
                settings |= {"state": self.folder("source"), "token": self._passwords[SOURCE_TOKEN_VARIABLE]}
                settings |= {"csv": v.csv} if v.csv else {"scale": v.scale, "seed": v.seed}
            case "poller":
                settings |= {
                    "api_url": v.api_url or self.url("source"),
                    "api_token": "" if v.api_url else self._passwords[SOURCE_TOKEN_VARIABLE],
                    "group_number": v.group_number,
                    "at_end": v.at_end,
                    "poll": v.poll,
                    "poll_every": v.poll_every,
                    "inbox": self.folder("inbox"),
                    "disks": json.dumps({part: str(self.home / part) for part in DISKS}),
                }
            case "loader":
                settings |= {"on_new_epoch": v.on_new_epoch}
            case "trainer":
                settings |= {"work": self.folder("trainer"), "trees": v.trees}
                settings |= {"fit_seconds": v.fit_seconds, "fit_memory": v.fit_memory, "max_rows": v.max_rows}
            case "inference":
                settings |= {"journal": self.folder("journal"), "journal_sync": v.journal_sync}
                settings |= {"workers": v.workers, "strict": v.strict, "api_keys": v.api_keys}
                settings |= {f"{part}_key": self.api_key(part) for part in PARTS}
            case "retention":
                settings |= {"keep_requests_days": v.keep_requests_days, "keep_batches_days": v.keep_batches_days}
                limits = {"keep_epochs": v.keep_epochs, "keep_versions": v.keep_versions}
                settings |= {name: limit for name, limit in limits.items() if limit is not None}
            case "monitor":
                shown = [part for part in ("inference", "mlflow", "source") if part in self.parts]
                settings |= {f"{part}_url": self.url(part) for part in shown}
                readyz = {other: self.url(other) for other in self.services if other != "monitor"}
                settings |= {"readyz": json.dumps(readyz), "api_key": self.api_key("monitor")}
                settings |= {"password": v.monitor_password, "api_keys": v.api_keys}
        return {name: str(value) for name, value in settings.items()}

    def _load(self) -> tuple[Variables, list[str]]:
        path = self.home / "run.json"
        try:
            saved = json.loads(path.read_text())
        except FileNotFoundError:
            return Variables(), []
        except ValueError as error:
            raise _damaged(path, error) from error
        if not isinstance(saved, dict):
            raise _damaged(path, "it is no JSON object")
        return Variables.from_saved(saved)

    @property
    def _passwords(self) -> dict[str, str]:
        """The saved passwords by the name of their variable; new ones before the first start."""
        try:
            text = (self.home / "secrets").read_text()
        except FileNotFoundError:
            text = ""
        return self._new_passwords | dict(line.split("=", 1) for line in shlex.split(text))


def _key_variable(part: str) -> str:
    return f"{part.upper()}_API_KEY"


def _kafka_variables(kafka: KafkaSettings) -> dict[str, str]:
    password = kafka.password.get_secret_value()
    return {"KAFKA_BOOTSTRAP": kafka.bootstrap, "KAFKA_USER": str(kafka.user), "KAFKA_PASSWORD": password}


def _damaged(path: Path, reason: object) -> LocalError:
    return LocalError(
        f"{path} is damaged ({reason}): delete it, and pass the variables of this run to make start again"
    )
