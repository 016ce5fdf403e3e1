"""What is downloaded is pinned by its content, and the workflows give nothing away."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from support.repository import ROOT

INSTALL = (ROOT / "compose/local/install.sh").read_text()
DOCKERFILE = (ROOT / "Dockerfile").read_text()


@pytest.mark.failure("F418")
def test_every_installation_of_a_package_needs_its_hash() -> None:
    """By pip and by uv, in the local run and in the images. The packages of the checkout itself have none."""
    commands = re.findall(r"^.*pip (?:install|sync) .*$", f"{INSTALL}\n{DOCKERFILE}", re.MULTILINE)
    unhashed = [command for command in commands if "--require-hashes" not in command]
    assert len(commands) == 8
    assert unhashed == [command for command in unhashed if '--no-deps "$@"' in command]


@pytest.mark.parametrize("folder", ["compose/local", "compose/local/spark"])
def test_every_artifact_of_maven_has_a_checksum(folder: str) -> None:
    """Those that a pom.xml names, with what they need."""
    listed = (ROOT / folder / "jars.sha256").read_text().splitlines()
    names = {line.split()[1] for line in listed if re.match(r"[0-9a-f]{64}  ", line)}
    assert len(names) == len(listed) >= len(_artifacts(folder)) > 0
    assert {f"{artifact}-{version}.jar" for artifact, version in _artifacts(folder).items()} <= names


def test_spark_has_one_version() -> None:
    """Its jars are those of the PySpark that the extra declares and the lock pins."""
    extra = re.findall(r'"pyspark==([\d.]+)"', (ROOT / "shared/pyproject.toml").read_text())
    lock = re.findall(r"^pyspark==([\d.]+) ", (ROOT / "requirements-spark.lock").read_text(), re.MULTILINE)
    jars = {version for name, version in _artifacts("compose/local/spark").items() if name.startswith("spark-")}
    assert extra == lock == [*jars]


def _artifacts(folder: str) -> dict[str, str]:
    """The artifacts that a pom.xml names, with their versions."""
    dependency = r"<artifactId>([^<*]+)</artifactId>\n\s+<version>([\d.]+)</version>\n\s+<(?:/dependency|exclusions)>"
    return dict(re.findall(dependency, (ROOT / folder / "pom.xml").read_text()))


def test_the_workflows_have_no_finding() -> None:
    """Of zizmor: tokens that stay in files, actions without a commit, permissions, updates of the same day."""
    zizmor = Path(sys.executable).parent / "zizmor"
    done = subprocess.run([zizmor, "--offline", ROOT / ".github"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


def test_the_pull_request_of_the_lock_is_tested() -> None:
    """A push with a workflow's own token starts no other workflow, so they are started by name."""
    workflows = {path.name: yaml.safe_load(path.read_text()) for path in (ROOT / ".github/workflows").glob("*.yml")}
    lock = workflows["dependencies.yml"]["jobs"]["lock"]
    started = re.findall(r"gh workflow run (\S+) --ref newer-dependencies", str(lock["steps"]))
    assert lock["permissions"]["actions"] == "write"
    assert set(started) == {name for name, each in workflows.items() if "pull_request" in each[True]}
    assert all("workflow_dispatch" in workflows[name][True] for name in started)


def test_every_kind_of_dependency_is_updated_after_a_week() -> None:
    """A stolen release is mostly found sooner. The lock has a workflow of its own."""
    updates = yaml.safe_load((ROOT / ".github/dependabot.yml").read_text())["updates"]
    assert {each["package-ecosystem"] for each in updates} == {"github-actions", "docker", "docker-compose", "maven"}
    assert {each["cooldown"]["default-days"] for each in updates} == {7}
