"""A deployment for tests: its own dataset name and database prefix on shared Kafka, MySQL and MLflow."""

import contextlib
import os
import random
import re
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing.context import ForkServerProcess
from pathlib import Path
from typing import Any, Protocol, TypeVar
from urllib.error import HTTPError, URLError
from uuid import uuid4

import psutil
import sqlalchemy as sa
from pydantic import SecretStr

from support import forked
from veleta.adapters.kafka import KafkaLog
from veleta.adapters.mlflow import use_token
from veleta.adapters.mysql import mysql_engine
from veleta.batches import read_topic
from veleta.dataset import Dataset, load_dataset, parse_dataset
from veleta.events.envelope import Event, decode
from veleta.settings import KafkaSettings, MlflowSettings, MysqlSettings
from veleta.topics import TopicName, topic
from veleta.users import KAFKA_ADMIN, KAFKA_USERS, USERS, kafka_password_variable
from veleta_local.addresses import DEFAULT_PORTS
from veleta_prepare.kafka_users import create_kafka_users
from veleta_prepare.topics import create_topics

T = TypeVar("T")
END_SECONDS = 60
PASSWORD = uuid4().hex


class BackingServices(Protocol):
    """The addresses of Kafka, MySQL and MLflow: of a run on this machine, or of a stack in containers."""

    @property
    def kafka(self) -> KafkaSettings:
        """Kafka without a login."""

    @property
    def kafka_admin(self) -> KafkaSettings:
        """Kafka with all rights."""

    @property
    def mlflow_url(self) -> str: ...

    @property
    def mlflow_tokens(self) -> Mapping[str, str]:
        """The token of each part that writes to MLflow."""

    @property
    def mysql_port(self) -> int: ...

    @property
    def mysql_user(self) -> str:
        """The administrator."""

    @property
    def mysql_password(self) -> str: ...


@dataclass(frozen=True)
class ExternalServices:
    """`BackingServices` that run already."""

    kafka_bootstrap: str
    kafka_admin_bootstrap: str
    kafka_password: str
    mlflow_url: str
    mlflow_tokens: Mapping[str, str]
    mysql_port: int
    mysql_user: str
    mysql_password: str

    @property
    def kafka(self) -> KafkaSettings:
        return kafka_login(self.kafka_bootstrap)

    @property
    def kafka_admin(self) -> KafkaSettings:
        return kafka_login(self.kafka_admin_bootstrap, KAFKA_ADMIN, self.kafka_password)


def wait_until(condition: Callable[[], T], seconds: float = 60, what: str = "the condition") -> T:
    """Return the first true result of `condition`. AssertionError after the time-out."""
    end = time.monotonic() + seconds
    while not (result := condition()):
        assert time.monotonic() < end, f"{what}: not true within {seconds} s; last result: {result!r}"
        time.sleep(0.1)
    return result


def free_port() -> int:
    """A port on which no process listens."""
    return _first_of_free_ports(1)


def free_base() -> int:
    """A PORT_BASE with free ports."""
    return _first_of_free_ports(len(DEFAULT_PORTS))


def _first_of_free_ports(count: int) -> int:
    """Outside the kernel's range for outgoing connections, which could take one before its server listens."""
    lowest = int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
    while True:
        first = random.choice(range(10_000, lowest - count) or range(10_000, 60_000))  # noqa: S311 - a port, no secret
        with contextlib.suppress(OSError), contextlib.ExitStack() as probes:
            for port in range(first, first + count):
                probes.enter_context(socket.create_server(("127.0.0.1", port)))
            return first


def http_status(url: str) -> int:
    """The status of a GET; 0 if there is no response."""
    try:
        with urllib.request.urlopen(url, timeout=5) as answer:
            return int(answer.status)
    except HTTPError as error:
        return error.code
    except (URLError, OSError):
        return 0


def kafka_login(bootstrap: str, user: str | None = None, password: str = "") -> KafkaSettings:
    """The settings of a client of Kafka, whatever the environment has."""
    return KafkaSettings(bootstrap=bootstrap, user=user, password=SecretStr(password))


def admin_login(run: BackingServices, prefix: str = "") -> MysqlSettings:
    """The administrator's login, for databases whose names start with `prefix`."""
    return MysqlSettings(
        host="127.0.0.1",
        port=run.mysql_port,
        user=run.mysql_user,
        password=SecretStr(run.mysql_password),
        prefix=prefix,
    )


class Testbed:
    """One deployment, isolated from all others."""

    __test__ = False  # pytest would collect a class with this name

    def __init__(self, backing: BackingServices, folder: Path, text: str | None = None) -> None:
        mark = f"t{uuid4().hex[:8]}"
        self.prefix = f"{mark}_"
        self.folder = folder
        self.dataset = self._own_dataset(text or load_dataset("real_estate").text, mark)
        # Tests may write to any topic. The processes that they start have their own users.
        self.kafka = backing.kafka_admin
        self.anonymous = backing.kafka
        self.mlflow_uri = backing.mlflow_url
        # Tests write to MLflow as the trainer does.
        use_token(MlflowSettings(tracking_uri=self.mlflow_uri, tracking_token=backing.mlflow_tokens["trainer"]))
        self.log = KafkaLog(self.kafka, "test")
        self._backing = backing
        self._admin: sa.Engine | None = None

    def _own_dataset(self, text: str, mark: str) -> Dataset:
        name = parse_dataset(text).name
        self.dataset_path = self.folder / "dataset.toml"
        self.dataset_path.write_text(re.sub(rf'^name = "{name}"', f'name = "{name}_{mark}"', text, flags=re.MULTILINE))
        return load_dataset(str(self.dataset_path))

    def mysql(self, user: str) -> MysqlSettings:
        """The login of one of the deployment's users, or of the administrator (`admin`)."""
        admin = admin_login(self._backing, self.prefix)
        if user == "admin":
            return admin
        return admin.model_copy(update={"user": f"{self.prefix}{user}", "password": SecretStr(PASSWORD)})

    def kafka_as(self, user: str) -> KafkaSettings:
        """The login of one of the deployment's users of Kafka."""
        return kafka_login(self.kafka.bootstrap, f"{self.prefix}{user}", PASSWORD)

    @property
    def admin(self) -> sa.Engine:
        """An engine with the administrator's rights."""
        if self._admin is None:
            self._admin = mysql_engine(self.mysql("admin"))
        return self._admin

    def close(self) -> None:
        """Close its connections."""
        self.log.close()
        if self._admin is not None:
            self._admin.dispose()

    def sql(self, query: sa.Executable) -> Sequence[sa.Row[Any]]:
        """The rows of a query, as the administrator."""
        with self.admin.begin() as connection:
            return connection.execute(query).all()

    def events(self, name: TopicName) -> list[Event]:
        """All events in one of the dataset's topics."""
        return [decode(record) for record in read_topic(self.log, topic(self.dataset.name, name))]

    def environment(self, service: str, user: str | None = None, **more: object) -> dict[str, str]:
        """The environment of a process of this deployment; `user` is its database user."""
        if service == "inference":
            more = {"journal": self.folder / "journal", **more}
        variables = {
            "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
            "HOME": str(self.folder),
            "DATASET": str(self.dataset_path),
            "KAFKA_BOOTSTRAP": self.kafka.bootstrap,
            "KAFKA_USER": f"{self.prefix}{service}",
            "KAFKA_PASSWORD": PASSWORD,
            "MLFLOW_TRACKING_URI": self.mlflow_uri,
            **{f"{service.upper()}_{name.upper()}": str(value) for name, value in more.items()},
        }
        if token := self._backing.mlflow_tokens.get(service):
            variables["MLFLOW_TRACKING_TOKEN"] = token
        if user:
            login = self.mysql(user)
            variables |= {
                "MYSQL_HOST": login.host,
                "MYSQL_PORT": str(login.port),
                "MYSQL_USER": login.user,
                "MYSQL_PASSWORD": login.password.get_secret_value(),
                "MYSQL_PREFIX": login.prefix,
            }
        return variables

    def prepare(self, **variables: str) -> subprocess.CompletedProcess[str]:
        """Run the job that creates tables, users and topics. `variables` override its environment."""
        environment = self.environment("prepare", "admin")
        environment |= {"KAFKA_USER": str(self.kafka.user), "KAFKA_PASSWORD": self.kafka.password.get_secret_value()}
        environment |= {kafka_password_variable(user): PASSWORD for user in KAFKA_USERS}
        environment |= {user.password_variable: PASSWORD for user in USERS} | variables
        command = [sys.executable, "-m", "veleta_prepare"]
        return subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=120)

    def prepare_kafka(self) -> None:
        """Create only topics, and the users of Kafka."""
        passwords = dict.fromkeys(KAFKA_USERS, SecretStr(PASSWORD))
        create_topics(self.kafka, self.dataset.name)
        create_kafka_users(self.kafka, self.dataset.name, passwords, self.prefix)

    @contextmanager
    def service(
        self, name: str, user: str | None = None, faults: Sequence[str] = (), **settings: Any
    ) -> Iterator["Process"]:
        """Run a real process of a service while the block runs. Its log is shown if the test fails.

        `faults` are injected in order (support.faulty).
        """
        port = free_port()
        process = Process(name, port, self.environment(name, user, port=port, **settings), self.folder, faults)
        try:
            process.start()
            yield process
        finally:
            process.stop()


class Process:
    """A process of a service. `kill` is kill -9; `start` restarts it with the same settings."""

    def __init__(
        self, name: str, port: int, environment: dict[str, str], folder: Path, faults: Sequence[str] = ()
    ) -> None:
        self.name = name
        self.url = f"http://127.0.0.1:{port}"
        self.log = folder / f"{name}.log"
        self._faults = folder / f"{name}-{port}.faults"
        self._faults.write_text("".join(f"{fault}\n" for fault in faults))
        self._command = ["support.faulty", name] if faults else [f"veleta_{name}"]
        self._environment = environment | {"FAULTS": str(self._faults)}
        self._process: ForkServerProcess | None = None

    def start(self) -> None:
        self._process = forked.start(self._command, self._environment, self.log)

    def run_until(self, condition: Callable[[], object], seconds: float, what: str) -> None:
        """Wait for the condition. Restart the process whenever it ends, as supervisor does."""

        def holds() -> object:
            if self._process is None or self._process.exitcode is not None:
                self.start()
            return condition()

        wait_until(holds, seconds, what)

    def faults(self) -> list[str]:
        """The faults that are still to be injected."""
        return self._faults.read_text().splitlines()

    @contextmanager
    def frozen(self) -> Iterator[None]:
        """SIGSTOP; SIGCONT after the block."""
        os.kill(self.pid, signal.SIGSTOP)
        try:
            yield
        finally:
            os.kill(self.pid, signal.SIGCONT)

    def memory(self) -> int:
        """Memory (RSS) in bytes of the process and its children, which share its session."""
        size = 0
        for path in Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(OSError):  # it has ended by now
                if os.getsid(int(path.name)) == self.pid:
                    size += int((path / "statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
        return size

    @property
    def peak_memory(self) -> int:
        """The most memory (RSS) in bytes that the process had, without its children."""
        return 1024 * int(re.findall(r"VmHWM:\s*(\d+)", Path(f"/proc/{self.pid}/status").read_text())[0])

    def wait_until_ready(self, seconds: float = 60) -> None:
        """Wait until /readyz is 200."""
        wait_until(lambda: http_status(f"{self.url}/readyz") == 200, seconds, f"{self.name} is ready")

    @property
    def pid(self) -> int:
        """The process id."""
        pid = self._started.pid
        assert pid is not None
        return pid

    def wait(self) -> int:
        """Wait until it ends. Returns the exit code. After a time-out it is killed."""
        process = self._started
        process.join(END_SECONDS)
        if process.exitcode is None:
            _kill_tree(self.pid)
            raise TimeoutError(f"{self.name} did not end")
        return process.exitcode

    def kill(self) -> None:
        self._end(signal.SIGKILL)

    def stop(self) -> int:
        """SIGTERM. Returns the exit code."""
        code = self._end(signal.SIGTERM)
        print(f"--- {self.name}\n{self.log.read_text()[-8000:]}")  # noqa: T201 - pytest shows it when the test fails
        return code

    def _end(self, number: signal.Signals) -> int:
        if self._started.exitcode is None:
            _kill_tree(self.pid) if number is signal.SIGKILL else self._started.terminate()
        return self.wait()

    @property
    def _started(self) -> ForkServerProcess:
        assert self._process is not None
        return self._process


def _kill_tree(pid: int) -> None:
    """Kill a process and what it started, some of which is in groups of its own."""
    process = psutil.Process(pid)
    for each in (process, *process.children(recursive=True)):
        with contextlib.suppress(psutil.NoSuchProcess):
            each.kill()
