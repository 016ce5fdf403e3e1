"""What is where in a run: folders, ports, passwords, and the environment of each part."""

import hashlib
import json
import os
import secrets
import shlex
from pathlib import Path

from veleta_local.addresses import HOST, ports
from veleta_local.files import shell_lines, write_private
from veleta_local.variables import Variables

ROOT = Path(__file__).resolve().parents[3]
PYTHON = ROOT / ".venv/bin/python"

BACKING = ("kafka", "mysql", "mlflow")
SERVICES = ("source", "poller", "loader", "drift", "trainer", "inference", "retention", "monitor")
ADMIN = "admin"

_USERS = {
    "loader": "loader",
    "drift": "drift",
    "trainer": "trainer",
    "inference": "inference",
    "retention": "retention",
    "monitor": "reader",
}

_ALLOCATOR = {"MALLOC_ARENA_MAX": "2", "MALLOC_MMAP_THRESHOLD_": str(2**20)}
"""Lets glibc give memory back: by default each thread that handles a batch keeps a heap of its own."""


class Deployment:
    """A run's home and all that follows from its variables."""

    def __init__(self, home: Path, variables: Variables | None = None) -> None:
        self.home = home.absolute()
        self.remembered = self._remembered()
        self.variables = (variables or Variables()).over(self.remembered).with_input()
        base = self.variables.port_base
        self.ports = ports(int(base) if base else None)
        self._fresh_passwords = {_variable(user): secrets.token_urlsafe(24) for user in (ADMIN, *_USERS.values())}

    @property
    def dataset(self) -> str:
        """The dataset's name, or the path of its file."""
        return self.variables.dataset or "real_estate"

    @property
    def services(self) -> tuple[str, ...]:
        """The services of this run: with somebody's API, our own source stays away."""
        return SERVICES[1:] if self.variables.api_url else SERVICES

    @property
    def parts(self) -> tuple[str, ...]:
        return BACKING + self.services

    @property
    def awaited(self) -> tuple[str, ...]:
        """The parts that a start waits for: no model can be served before somebody takes a batch by hand."""
        by_hand = self.variables.poll == "manual"
        return tuple(part for part in self.parts if not (by_hand and part == "inference"))

    @property
    def sockets(self) -> Path:
        """A short folder for unix sockets, whose paths hold 107 characters at most."""
        mark = hashlib.sha256(os.fsencode(self.home)).hexdigest()[:10]
        return Path(f"/tmp/veleta-{os.getuid()}-{mark}")  # noqa: S108 (made and checked by private_folder)

    @property
    def kafka_bootstrap(self) -> str:
        return f"{HOST}:{self.ports['kafka']}"

    @property
    def mlflow_url(self) -> str:
        return self.url("mlflow")

    @property
    def mysql_port(self) -> int:
        return self.ports["mysql"]

    @property
    def mysql_user(self) -> str:
        return ADMIN

    @property
    def mysql_password(self) -> str:
        return self._password(ADMIN)

    @property
    def mysql_prefix(self) -> str:
        return self.variables.mysql_prefix or ""

    def url(self, part: str) -> str:
        return f"http://{HOST}:{self.ports[part]}"

    def folder(self, name: str) -> Path:
        """A folder of the home, made when it is not there."""
        path = self.home / name
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
        return path

    def log(self, part: str) -> Path:
        return self.home / "logs" / f"{part}.log"

    def remember(self) -> None:
        """Keep the variables and the passwords for the commands and the starts that follow."""
        self.folder("")
        write_private(self.home / "run.json", json.dumps(self.variables.given(), indent=2) + "\n")
        write_private(self.home / "secrets", shell_lines(self._passwords))
        self.remembered = self.variables

    def health_url(self, service: str) -> str:
        """Where a service says whether it is ready; Streamlit, the monitor, has its own place for it."""
        return f"{self.url(service)}{'/_stcore/health' if service == 'monitor' else '/readyz'}"

    def environment(self, service: str) -> dict[str, str]:
        """All that a service is told."""
        environment = self._common() | self._login(service) | self._settings(service)
        return environment | {f"{service.upper()}_PORT": str(self.ports[service])} | self.variables.extra

    def environment_of_prepare(self) -> dict[str, str]:
        """The job that makes databases, users and topics logs in as the administrator."""
        words = {_variable(user): self._password(user) for user in _USERS.values()}
        return self._common() | self._mysql(ADMIN, self.mysql_password) | words

    def environment_of_notebooks(self) -> dict[str, str]:
        """They log in as the user who only reads, as the monitor does."""
        return self._common() | self._login("monitor") | {"NOTEBOOKS_PORT": str(self.ports["jupyter"])}

    def environment_of_clients(self) -> dict[str, str]:
        """What `.veleta/env` tells to tools outside the run; nothing that starts a run reads these."""
        reader = f"{self.mysql_prefix}reader:{self._password('reader')}"
        urls = {f"VELETA_{part.upper()}_URL": self.url(part) for part in ("mlflow", "inference", "monitor", "source")}
        if "source" not in self.services:
            del urls["VELETA_SOURCE_URL"]
        mysql = f"mysql+asyncmy://{reader}@{HOST}:{self.mysql_port}/"
        return {"VELETA_KAFKA": self.kafka_bootstrap, "VELETA_MYSQL_URL": mysql, **urls}

    def _common(self) -> dict[str, str]:
        return _ALLOCATOR | {
            "DATASET": self.dataset,
            "KAFKA_BOOTSTRAP": self.kafka_bootstrap,
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

    def _login(self, service: str) -> dict[str, str]:
        user = _USERS.get(service)
        return self._mysql(f"{self.mysql_prefix}{user}", self._password(user)) if user else {}

    def _settings(self, service: str) -> dict[str, str]:
        """The variables of make, under the names of the service that takes them."""
        of_service = {
            "source": self._source,
            "poller": self._poller,
            "loader": lambda: {"LOADER_ON_NEW_EPOCH": self.variables.on_new_epoch or "clear"},
            "trainer": self._trainer,
            "inference": self._inference,
            "retention": lambda: {"RETENTION_KEEP_REQUESTS_DAYS": self.variables.keep_requests_days or "0"},
            "monitor": self._monitor,
        }
        return of_service[service]() if service in of_service else {}

    def _source(self) -> dict[str, str]:
        rows = {
            "SOURCE_CSV": self.variables.csv,
            "SOURCE_SCALE": self.variables.scale,
            "SOURCE_SEED": self.variables.seed,
        }
        return {"SOURCE_STATE": str(self.folder("source"))} | {name: value for name, value in rows.items() if value}

    def _poller(self) -> dict[str, str]:
        theirs, once = self.variables.api_url, bool(self.variables.csv)
        return {
            "POLLER_API_URL": theirs or self.url("source"),
            "POLLER_GROUP_NUMBER": self.variables.group_number or "1",
            "POLLER_AT_END": self.variables.at_end or ("stop" if once else "restart"),
            "POLLER_POLL": self.variables.poll or "auto",
            "POLLER_POLL_EVERY": self.variables.poll_every or ("60" if theirs else "10"),
            "POLLER_INBOX": str(self.folder("inbox")),
        }

    def _trainer(self) -> dict[str, str]:
        trees = self.variables.trees
        return {"TRAINER_WORK": str(self.folder("trainer"))} | ({"TRAINER_TREES": trees} if trees else {})

    def _inference(self) -> dict[str, str]:
        return {
            "INFERENCE_JOURNAL": str(self.folder("journal")),
            "INFERENCE_JOURNAL_SYNC": self.variables.journal_sync or "group",
            "INFERENCE_WORKERS": self.variables.workers or "1",
        }

    def _monitor(self) -> dict[str, str]:
        others = [service for service in self.services if service != "monitor"]
        shown = [part for part in ("inference", "mlflow", "source") if part in self.parts]
        urls = {f"MONITOR_{part.upper()}_URL": self.url(part) for part in shown}
        return urls | {"MONITOR_READYZ": json.dumps({service: self.url(service) for service in others})}

    def _remembered(self) -> Variables:
        try:
            return Variables(**json.loads((self.home / "run.json").read_text()))
        except FileNotFoundError:
            return Variables()

    @property
    def _passwords(self) -> dict[str, str]:
        """By the name of their variable: as the home remembers them, or those that it will."""
        try:
            text = (self.home / "secrets").read_text()
        except FileNotFoundError:
            text = ""
        return self._fresh_passwords | dict(line.split("=", 1) for line in shlex.split(text))

    def _password(self, user: str) -> str:
        return self._passwords[_variable(user)]


def _variable(user: str) -> str:
    return f"MYSQL_{user.upper()}_PASSWORD"
