"""The scripts of a backup, with a fake Docker whose volumes are folders."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from support.repository import ROOT

DOCKER = """\
import json, os, subprocess, sys
from pathlib import Path
volumes = Path(os.environ["FAKE_VOLUMES"])
match sys.argv[1:]:
    case ["compose", "config", "--format", "json"]:
        print(json.dumps({"name": "it"}, indent=2).replace("\\n}", ",\\n}"))
    case ["compose", "config", "--volumes"]:
        print("kafka\\nmysql\\nunused")
    case ["volume", "inspect", name]:
        sys.exit(not (volumes / name).exists())
    case ["compose", "create", *_]:
        for name in ("kafka", "mysql", "unused"):
            (volumes / f"it_{name}").mkdir(exist_ok=True)
    case ["run", *rest]:
        mounts = [rest[n + 1].split(":") for n, each in enumerate(rest) if each == "--volume"]
        command = rest[-1]
        for source, target, *_ in mounts:
            command = command.replace(target, source if source.startswith("/") else str(volumes / source))
        sys.exit(subprocess.run(["sh", "-c", command]).returncode)
"""


class Machine:
    """A stack with two volumes, and the scripts."""

    def __init__(self, top: Path) -> None:
        self.top = top
        self.volumes = top / "volumes"
        (top / "bin").mkdir()
        program = top / "bin/docker"
        program.write_text(f"#!{sys.executable}\n{DOCKER}")
        program.chmod(0o755)
        for name in ("kafka", "mysql"):
            (self.volumes / f"it_{name}").mkdir(parents=True)
            (self.volumes / f"it_{name}/data").write_text(name)

    def run(self, script: str, folder: str) -> "subprocess.CompletedProcess[str]":
        """Run a script of compose/, called from this machine's folder."""
        return subprocess.run(
            [ROOT / "compose" / script, folder],
            cwd=self.top,
            env={"PATH": f"{self.top}/bin:/usr/bin:/bin", "FAKE_VOLUMES": str(self.volumes)},
            capture_output=True,
            text=True,
            check=False,
        )

    def lose(self) -> None:
        """Delete the volumes."""
        self.volumes.rename(self.top / "lost")
        self.volumes.mkdir()

    def contents(self) -> dict[str, str]:
        return {path.parent.name: path.read_text() for path in self.volumes.glob("*/data")}


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    """After a backup into a relative folder, and the loss of all volumes."""
    made = Machine(tmp_path)
    done = made.run("backup.sh", "archives")
    assert (done.returncode, done.stderr) == (0, "")
    made.lose()
    return made


def test_a_backup_is_restored(machine: Machine) -> None:
    """A relative folder is one of the caller. It is private, and has a checksum for each archive."""
    archives = machine.top / "archives"
    assert archives.stat().st_mode & 0o777 == 0o700
    assert {path.name for path in archives.iterdir()} == {"kafka.tar.gz", "mysql.tar.gz", "SHA256SUMS"}
    done = machine.run("restore.sh", "archives")
    assert (done.returncode, done.stdout) == (0, "kafka: restored\nmysql: restored\n")
    assert machine.contents() == {"it_kafka": "kafka", "it_mysql": "mysql"}


def changed(archive: Path) -> None:
    content = bytearray(archive.read_bytes())
    content[-1] ^= 1
    archive.write_bytes(content)


def added(archive: Path) -> None:
    archive.with_name("unused.tar.gz").write_bytes(archive.read_bytes())


def interrupted(archive: Path) -> None:
    archive.with_name("SHA256SUMS").unlink()


@pytest.mark.failure("F419")
@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (changed, "mysql.tar.gz: FAILED"),
        (Path.unlink, "mysql.tar.gz: FAILED open or read"),
        (added, "unused.tar.gz is not in SHA256SUMS: nothing was restored"),
        (interrupted, "archives has no SHA256SUMS"),
    ],
)
def test_a_damaged_backup_is_refused(damage: Callable[[Path], object], message: str, machine: Machine) -> None:
    """Before anything is created."""
    damage(machine.top / "archives/mysql.tar.gz")
    done = machine.run("restore.sh", "archives")
    assert done.returncode == 1
    assert message in done.stderr
    assert list(machine.volumes.iterdir()) == []
