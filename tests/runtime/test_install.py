"""What `compose/local/install.sh` installs and requires, with fake programs."""

import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from veleta_local.deployment import ROOT

_REAL = ("cat", "cp", "grep", "mkdir", "sed", "tail", "touch", "true")
_JAVA = """echo 'openjdk version "{}.0.2" 2026-01-20' >&2"""
_KNOWN = '[ "$1" = show ] && case $2 in maven | openjdk-17-jre-headless) echo "Package: $2" ;; esac'
_APT_INSTALL = "apt-get install -y -qq --no-install-recommends -o APT::Status-Fd=1"
_REAL_PYTHON = shlex.quote(sys.executable)
_PYTHON = f"python{sys.version_info.major}.{sys.version_info.minor}"


class Machine:
    """A PATH of fakes that record their calls, and a checkout to install into."""

    def __init__(self, top: Path) -> None:
        self._top = top
        self.checkout = top / "checkout"
        for folder in ("bin", "later", "checkout/services/one"):
            (top / folder).mkdir(parents=True)
        for name in _REAL:
            (top / "bin" / name).symlink_to(shutil.which(name) or name)
        self.has(_PYTHON, f'exec {_REAL_PYTHON} "$@"')
        self.has("apt-cache", _KNOWN)
        self.has("apt-get", self._record("apt-get") + '[ "$1" = update ] || cp ../later/* ../bin')
        self.has("uv", self._record("uv") + "mkdir -p .venv/bin")
        self.has("id", "echo 0")
        self.has("mvn", "", folder="later")
        self.has("java", _JAVA.format(17), folder="later")

    def has(self, name: str, script: str, *, folder: str = "bin") -> None:
        program = self._top / folder / name
        program.write_text(f"#!/bin/sh\n{script}\n")
        program.chmod(0o755)

    def remove(self, name: str) -> None:
        (self._top / "bin" / name).unlink()

    def has_all(self) -> None:
        self.has("mvn", "")
        self.has("java", _JAVA.format(21))

    def is_not_root(self, *, sudo: bool) -> None:
        self.has("id", "echo 1000")
        self.has("sudo", (self._record("sudo") + 'shift; exec "$@"') if sudo else "exit 1")

    def install(self, *arguments: str) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            ["/bin/sh", ROOT / "compose/local/install.sh", *arguments],
            cwd=self.checkout,
            env={"PATH": str(self._top / "bin")},
            capture_output=True,
            text=True,
            check=False,
        )

    def calls(self, of: str) -> list[str]:
        calls = self._top / "calls"
        lines = calls.read_text().splitlines() if calls.exists() else []
        return [line for line in lines if line.startswith(of)]

    def _record(self, name: str) -> str:
        return f'echo "{name} $*" >> ../calls\n'


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    """Debian as root, with Python and uv, without Java and Maven."""
    return Machine(tmp_path)


@pytest.mark.failure("F69")
def test_as_root_missing_packages_are_installed_with_apt(machine: Machine) -> None:
    """The JRE of the release, and Maven. Existing apt lists are not updated."""
    done = machine.install()
    assert done.returncode == 0, done.stderr
    assert machine.calls("apt-get") == [f"{_APT_INSTALL} openjdk-17-jre-headless maven"]
    assert "installing with apt: openjdk-17-jre-headless maven" in done.stdout
    assert machine.calls("uv pip sync")


def test_installed_packages_are_not_changed(machine: Machine) -> None:
    """Neither is a newer Java. apt is not called."""
    machine.has_all()
    machine.has("apt-cache", "exit 99")
    done = machine.install()
    assert done.returncode == 0, done.stderr
    assert not machine.calls("apt-get")
    assert machine.calls("uv pip sync")


def test_an_old_java_is_not_enough(machine: Machine) -> None:
    """Maven is installed and stays as it is."""
    machine.has_all()
    machine.has("java", _JAVA.format(11))
    assert machine.install().returncode == 0
    assert machine.calls("apt-get") == [f"{_APT_INSTALL} openjdk-17-jre-headless"]


def test_an_old_java_that_stays_first_is_an_error(machine: Machine) -> None:
    """The package is installed, but `java` is still the old one."""
    machine.has("java", _JAVA.format(11), folder="later")
    done = machine.install()
    assert done.returncode == 1
    assert done.stderr.startswith("java is still older than 17")
    assert not machine.calls("uv pip sync")


def test_empty_apt_lists_are_updated_first(machine: Machine) -> None:
    """As in a new container. Without a known JRE the default one is installed."""
    machine.has("apt-cache", "")
    assert machine.install().returncode == 0
    assert machine.calls("apt-get") == ["apt-get update -qq", f"{_APT_INSTALL} default-jre-headless maven"]


@pytest.mark.failure("F141")
def test_old_apt_lists_are_updated_after_a_failure(machine: Machine) -> None:
    """Once. Then the message has apt's own reason."""
    machine.has(
        "apt-get", 'echo "apt-get $*" >> ../calls; [ "$1" = update ] || { echo "E: it is gone" >&2; exit 100; }'
    )
    done = machine.install()
    assert done.returncode == 1
    assert done.stderr == "apt could not install openjdk-17-jre-headless maven: E: it is gone\n"
    assert [call.split()[1] for call in machine.calls("apt-get")] == ["install", "update", "install"]


@pytest.mark.failure("F140")
def test_without_root_the_message_is_the_command_to_run(machine: Machine) -> None:
    """Nothing is installed."""
    machine.is_not_root(sudo=False)
    done = machine.install()
    assert done.returncode == 1
    assert done.stderr == (
        "run this as root first: apt-get update && "
        "apt-get install -y --no-install-recommends openjdk-17-jre-headless maven\n"
    )
    assert not machine.calls("apt-get")
    assert not machine.calls("uv pip")


def test_sudo_without_a_password_works_as_root(machine: Machine) -> None:
    """`sudo -n` installs the packages."""
    machine.is_not_root(sudo=True)
    assert machine.install().returncode == 0
    assert machine.calls("sudo -n apt-get install")
    assert machine.calls("apt-get") == [f"{_APT_INSTALL} openjdk-17-jre-headless maven"]


def test_without_apt_the_missing_packages_are_named(machine: Machine) -> None:
    """The system is not Debian."""
    machine.remove("apt-get")
    machine.remove("apt-cache")
    done = machine.install()
    assert done.returncode == 1
    assert done.stderr == "install these packages, or those of your system: default-jre-headless maven\n"


def test_a_python_without_venv_needs_its_package_if_uv_is_missing(machine: Machine) -> None:
    """Debian's Python cannot create the folder for uv without it."""
    machine.has_all()
    machine.is_not_root(sudo=False)
    machine.has(_PYTHON, f'case $2 in *ensurepip*) exit 1 ;; *) exec {_REAL_PYTHON} "$@" ;; esac')
    assert machine.install().returncode == 0
    machine.remove("uv")
    assert machine.install().stderr.endswith(f"--no-install-recommends {_PYTHON}-venv\n")


def test_the_tests_need_a_browser_and_curl(machine: Machine) -> None:
    """`install.sh tests` installs what is missing, and leaves .venv alone."""
    machine.has("apt-cache", "echo Package")
    assert machine.install("tests").returncode == 0
    assert machine.calls("apt-get") == [f"{_APT_INSTALL} chromium curl libatomic1"]
    assert not machine.calls("uv pip")


def test_the_soak_needs_libfaketime(machine: Machine) -> None:
    """`install.sh soak` installs it once, and nothing else."""
    assert machine.install("soak").returncode == 0
    (command,) = machine.calls("uv pip")
    assert command.startswith("uv pip install --quiet --require-hashes --no-deps --target .runtime/faketime ")
    (machine.checkout / ".runtime/faketime/libfaketime").mkdir(parents=True)
    assert machine.install("soak").returncode == 0
    assert machine.calls("uv pip") == [command]
    assert not machine.calls("apt-get")


def test_the_charts_need_helm(machine: Machine) -> None:
    """`install.sh helm` builds it once with Go, beside kubeconform, and installs the schemas. Nothing else."""
    assert "go is not on the PATH" in machine.install("helm").stderr
    machine.has("go", 'echo "go $* into $GOBIN" >> ../calls; [ "$1" = version ] || mkdir -p "$GOBIN"')
    assert machine.install("helm").returncode == 0
    assert [call.split("@")[0] for call in machine.calls("go install")] == [
        "go install helm.sh/helm/v4/cmd/helm",
        "go install github.com/yannh/kubeconform/cmd/kubeconform",
    ]
    assert all(call.endswith(f"into {machine.checkout}/.runtime/helm") for call in machine.calls("go install"))
    assert machine.install("helm").returncode == 0
    assert len(machine.calls("go install")) == 2
    file, options = "compose/helm/schemas.txt", "--quiet --require-hashes --no-deps"
    expected = f"uv pip install {options} --target .runtime/kubernetes --requirements {file} --build-constraints {file}"
    assert set(machine.calls("uv pip")) == {expected}


def test_the_table_of_places_needs_its_packages(machine: Machine) -> None:
    """`install.sh places` installs them, and nothing else. The hashes also hold for what builds uszipcode."""
    assert machine.install("places").returncode == 0
    file = "shared/places/requirements.txt"
    options = f"--target .runtime/places --requirements {file} --build-constraints {file}"
    assert machine.calls("uv pip") == [f"uv pip install --quiet --require-hashes --no-deps {options}"]
    assert not machine.calls("apt-get")


def test_the_benchmark_needs_evidently(machine: Machine) -> None:
    """`install.sh bench` installs it once with all that it needs, and nothing else."""
    assert machine.install("bench").returncode == 0
    (command,) = machine.calls("uv pip")
    assert command.startswith("uv pip install --quiet --require-hashes --no-deps --target .runtime/evidently ")
    (machine.checkout / ".runtime/evidently/evidently").mkdir(parents=True)
    assert machine.install("bench").returncode == 0
    assert machine.calls("uv pip") == [command]


def test_spark_is_installed_into_the_environment_of_the_services(machine: Machine) -> None:
    """`install.sh spark` installs PySpark, and what builds it. A later installation of the rest does not remove it."""
    machine.has_all()
    assert machine.install().returncode == 0
    assert machine.calls("uv pip sync") == ["uv pip sync --require-hashes requirements.lock"]
    assert machine.install("spark").returncode == 0
    locked = "requirements-spark.lock --build-constraints requirements-spark.lock"
    wanted = f"uv pip install --quiet --python .venv/bin/python --require-hashes --no-deps --requirements {locked}"
    assert machine.calls("uv pip install")[-1] == wanted
    pyspark = machine.checkout / ".venv/lib/python3.12/site-packages/pyspark/version.py"
    pyspark.parent.mkdir(parents=True)
    pyspark.touch()
    assert machine.install().returncode == 0
    assert machine.calls("uv pip sync")[-1] == f"uv pip sync --require-hashes requirements.lock {locked}"


def test_spark_needs_space(machine: Machine) -> None:
    """The check of the disk runs before the download, and not again when it is there."""
    machine.has(_PYTHON, f'[ $1 = -I ] || exec {_REAL_PYTHON} "$@"; echo "1.0 GB are free for $3" >&2; exit 1')
    done = machine.install("spark")
    assert (done.returncode, done.stdout, done.stderr) == (1, "", "1.0 GB are free for spark\n")
    assert not machine.calls("uv pip")


@pytest.mark.parametrize("browser", ["chromium", "google-chrome"])
def test_a_browser_that_is_there_is_used(machine: Machine, browser: str) -> None:
    """apt is not called."""
    machine.has(browser, "")
    machine.has("curl", "")
    driver = machine.checkout / ".venv/lib/python3.11/site-packages/playwright/driver/node"
    driver.parent.mkdir(parents=True)
    driver.symlink_to(shutil.which("true") or "true")
    assert machine.install("tests").returncode == 0
    assert not machine.calls("apt-get")


def test_a_colon_in_the_path_is_refused(machine: Machine) -> None:
    """It separates the folders of PATH and of Java's class path. Every other character works."""
    machine.checkout = machine.checkout.rename(machine.checkout.with_name("a:b"))
    done = machine.install()
    assert (done.returncode, done.stderr.split(": ")[1][:4]) == (1, "PATH")
    assert not machine.calls("apt-get")


@pytest.mark.failure("F142")
def test_a_full_disk_is_found_before_anything_is_installed(machine: Machine) -> None:
    """The check runs first, and its line is the only one."""
    machine.has(_PYTHON, f"[ $1 = -I ] || exec {_REAL_PYTHON} \"$@\"; echo '1.0 GB are free at /' >&2; exit 1")
    done = machine.install()
    assert (done.returncode, done.stdout, done.stderr) == (1, "", "1.0 GB are free at /\n")
    assert not machine.calls("apt-get")
    assert not machine.calls("uv pip")


def test_a_complete_installation_is_updated_without_a_check_of_the_disk(machine: Machine) -> None:
    """A newer requirements.lock needs little space."""
    machine.has_all()
    (machine.checkout / ".venv").mkdir()
    (machine.checkout / ".venv/installed").touch()
    machine.has(_PYTHON, f'[ $1 != -I ] || exit 1; exec {_REAL_PYTHON} "$@"')
    assert machine.install().returncode == 0


@pytest.mark.parametrize(("version", "supported"), [("3, 10", False), ("3, 13", True), ("3, 14", False)])
def test_supported_versions_of_python(machine: Machine, version: str, supported: bool) -> None:
    """3.11 to 3.13, with any name of the program."""
    machine.has_all()
    machine.remove(_PYTHON)
    as_if = f"import sys; sys.version_info = ({version}, 0); exec(sys.argv[1])"
    machine.has("python3", f"[ $1 = -I ] || exec {_REAL_PYTHON} -c '{as_if}' \"$2\"")
    done = machine.install()
    assert done.returncode == (0 if supported else 1)
    assert bool(machine.calls("uv venv --quiet --clear --python python3 .venv")) is supported
    assert ("Python 3.11, 3.12 or 3.13 is needed" in done.stderr) is not supported


def test_apt_shows_quarters(machine: Machine) -> None:
    """A line for each quarter of fetching and installing, without the other output of dpkg."""
    output = r"dlstatus:1:0.4:a\ndlstatus:2:30.1:b\ndlstatus:3:40:c\nSetting up d\npmstatus:d:99.9:e\n"
    machine.has("apt-get", f"printf '{output}'; cp ../later/* ../bin")
    shown = machine.install().stdout.splitlines()
    assert [line for line in shown if line.startswith("  ")] == ["  fetched 0 %", "  fetched 25 %", "  installed 75 %"]
