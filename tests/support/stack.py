"""The stack of compose.yaml with its own name and ports, for tests."""

import contextlib
import json
import os
import subprocess
from collections.abc import Sequence
from functools import cached_property
from typing import Any

from support.repository import ROOT
from support.testbed import free_base, kafka_login, wait_until
from veleta.settings import KafkaSettings
from veleta.users import KAFKA_ADMIN, MLFLOW_WRITERS

PUBLISHED = ("kafka", "kafka_services", "mysql", "mlflow", "source", "inference", "monitor", "jupyter")
SERVICES = ("source", "poller", "loader", "drift", "trainer", "inference", "retention", "monitor")
LONG_RUNNING = ("kafka", "mysql", "mlflow", *SERVICES)
SECRETS = "mysql_root_password"


class Stack:
    """`docker compose` on one project. `overlays` are further files; `variables` are those of compose."""

    def __init__(self, name: str, overlays: Sequence[str] = (), **variables: str) -> None:
        files = ["compose.yaml", *overlays, "tests/compose/published.yaml"]
        base = free_base()
        self._ports = {part: base + number for number, part in enumerate(PUBLISHED)}
        ports = {f"{part.upper()}_PORT": str(port) for part, port in self._ports.items()}
        inherited = {each: os.environ[each] for each in ("PATH", "HOME") if each in os.environ}
        project = {"COMPOSE_PROJECT_NAME": name, "COMPOSE_FILE": ":".join(files)}
        self._environment = {**inherited, **project, **ports, **variables}

    @property
    def kafka(self) -> KafkaSettings:
        return kafka_login(f"127.0.0.1:{self._ports['kafka']}")

    @cached_property
    def kafka_admin(self) -> KafkaSettings:
        password = self.inside("kafka", "cat", "/run/secrets/kafka_password")
        return kafka_login(f"127.0.0.1:{self._ports['kafka_services']}", KAFKA_ADMIN, password)

    @property
    def mlflow_url(self) -> str:
        return self.url("mlflow")

    @property
    def mlflow_tokens(self) -> dict[str, str]:
        """The token of each part that writes to MLflow."""
        return {part: self.inside("mlflow", "cat", f"/run/secrets/mlflow_{part}_token") for part in MLFLOW_WRITERS}

    @property
    def mysql_port(self) -> int:
        return self._ports["mysql"]

    @property
    def mysql_user(self) -> str:
        return "root"

    @cached_property
    def mysql_password(self) -> str:
        return self.inside("mysql", "cat", f"/run/secrets/{SECRETS}")

    def url(self, part: str) -> str:
        """The address of a part on this machine."""
        return f"http://127.0.0.1:{self._ports[part]}"

    def up(self, *parts: str) -> str:
        """Start what is down, wait until it is healthy, and return the output."""
        done = self._run("up", "--detach", "--wait", "--wait-timeout", "300", *parts)
        return done.stdout + done.stderr

    def recover(self) -> None:
        """Start what is down, and wait until all is healthy.

        `up --wait` fails at once for a part that is unhealthy because another one was down. The part is healthy again
        at its next check, up to 15 s after that one.
        """
        self.compose("up", "--detach")
        with contextlib.suppress(AssertionError):
            wait_until(lambda: not self._not_healthy(), 300)
        left = [(line, self.inspect(line.split()[0])["State"]["Health"]["Log"][-1:]) for line in self._not_healthy()]
        assert not left, left

    def down(self, *, volumes: bool = False) -> None:
        """Stop it; with `volumes` its data are deleted too."""
        self._forget_passwords()
        self._run("--profile", "*", "down", "--remove-orphans", *(["--volumes"] if volumes else []))

    def kill(self, part: str) -> None:
        """kill -9 of a container, which stays down until `up`."""
        self.compose("kill", part)

    def inside(self, part: str, *command: str) -> str:
        """The output of a command in a part's container."""
        return self.compose("exec", "--no-TTY", part, *command)

    def container(self, part: str) -> str:
        """The id of a part's container."""
        return self.compose("ps", "--all", "--quiet", part).strip()

    def inspect(self, part: str) -> dict[str, Any]:
        """The output of docker inspect for a part's container."""
        return docker_json("inspect", self.container(part))

    def compose(self, *command: str) -> str:
        """The output of a command of docker compose, which must succeed."""
        return self._run(*command).stdout

    def script(self, *command: str) -> "subprocess.CompletedProcess[str]":
        """Run a program of the checkout for this stack."""
        return subprocess.run(command, cwd=ROOT, env=self._environment, capture_output=True, text=True, check=False)

    def _run(self, *command: str) -> "subprocess.CompletedProcess[str]":
        done = self.script("docker", "compose", *command)
        assert done.returncode == 0, f"docker compose {' '.join(command)}: {done.stderr[-4000:]}"
        return done

    def _not_healthy(self) -> list[str]:
        """The running containers whose check does not pass."""
        lines = self.compose("ps", "--format", "{{.Service}} {{.Health}}").split("\n")
        return [line for line in lines if line.endswith((" starting", " unhealthy"))]

    def _forget_passwords(self) -> None:
        for name in ("mysql_password", "kafka_admin"):
            self.__dict__.pop(name, None)


def docker(*command: str) -> str:
    """The output of a command of docker."""
    return subprocess.run(["docker", *command], capture_output=True, text=True, check=True).stdout


def docker_json(*command: str) -> dict[str, Any]:
    """The first object that docker inspect prints."""
    objects: list[dict[str, Any]] = json.loads(docker(*command))
    return objects[0]
