"""The local run: what it says before it starts, what it remembers, and that it leaves nothing behind."""

import itertools
import os
import shutil
import signal
import socket
import subprocess
import time
from collections import namedtuple
from contextlib import nullcontext
from pathlib import Path
from types import SimpleNamespace
from xmlrpc.client import Fault

import pytest
import sqlalchemy as sa

from support.world import admin_login, eventually, free_base
from veleta.adapters.mysql import mysql_engine
from veleta.dataset import load_dataset
from veleta.errors import Stop
from veleta_local import __main__ as command_line
from veleta_local import checks, mariadb, processes
from veleta_local.addresses import DEFAULT_PORTS, HOST, ports
from veleta_local.deployment import BACKING, ROOT, Deployment
from veleta_local.errors import LocalError
from veleta_local.files import fresh_folder, locked, private_folder, shell_lines, write_private
from veleta_local.health import Health
from veleta_local.memory import samples
from veleta_local.run import Run
from veleta_local.supervise import Program, Supervisor
from veleta_local.variables import RULES, Variables, start_timeout
from veleta_trainer.settings import TrainerSettings

BASE = 23000
AWKWARD = """it's "50 %" # of ; $HOME `x` \\ ñ"""


def test_default_ports_are_those_others_rely_on() -> None:
    """names.md fixes them; the controller is a port that only the local run needs."""
    assert ports()["kafka"] == 9092
    assert ports()["monitor"] == 8501
    assert len(set(ports().values())) == len(DEFAULT_PORTS)


def test_port_base_counts_in_the_order_of_the_book() -> None:
    """PORT_BASE=n gives Kafka n, MySQL n+1 and so on; what only we need comes last."""
    counted = ports(BASE)
    assert list(counted.values()) == list(range(BASE, BASE + len(DEFAULT_PORTS)))
    assert (counted["kafka"], counted["mysql"], counted["inference"]) == (BASE, BASE + 1, BASE + 8)
    assert max(counted, key=counted.__getitem__) == "kafka-controller"


def test_sh_reads_back_any_value() -> None:
    """Both `.veleta/env` and the scripts of the parts carry values that nobody may have to escape."""
    script = shell_lines({"VALUE": AWKWARD}) + 'printf %s "$VALUE"'
    said = subprocess.run(["/bin/sh", "-c", script], capture_output=True, text=True, check=True)
    assert said.stdout == AWKWARD


def test_a_program_gets_its_environment_and_arguments_unchanged() -> None:
    """The script that supervisor runs exports the one and quotes the other."""
    script = Program(["/bin/sh", "-c", 'printf "%s|%s" "$VALUE" "$0"', AWKWARD], {"VALUE": AWKWARD}).script()
    said = subprocess.run(["/bin/sh", "-c", script], capture_output=True, text=True, check=True)
    assert said.stdout == f"{AWKWARD}|{AWKWARD}"


def test_secrets_are_for_their_owner_alone(tmp_path: Path) -> None:
    """Passwords and what carries them are never readable by others, not even for a moment."""
    run = Run(tmp_path / "home", Variables(csv="/a.csv"))
    run.remember()
    write_private(run.home / "env", shell_lines(run.environment_of_clients()))
    assert {(run.home / name).stat().st_mode & 0o777 for name in ("secrets", "env", "run.json")} == {0o600}
    assert run.mysql_password in (run.home / "secrets").read_text()
    assert Run(run.home).mysql_password == run.mysql_password


def test_a_foreign_folder_in_tmp_is_refused(tmp_path: Path) -> None:
    """Somebody else may have made the folder for our sockets first, or a link in its place."""
    (tmp_path / "open").mkdir(mode=0o755)
    (tmp_path / "link").symlink_to(tmp_path / "open")
    for name in ("open", "link"):
        with pytest.raises(LocalError, match="not a private folder"):
            private_folder(tmp_path / name)


@pytest.mark.failure("F70")
def test_an_interrupted_folder_is_begun_again(tmp_path: Path) -> None:
    """A folder that is there is whole; what a kill left half done is thrown away by the next try."""
    target = tmp_path / "data"
    leftover = tmp_path / "data.new/leftover"
    leftover.parent.mkdir()
    leftover.touch()
    with fresh_folder(target) as fresh:
        (fresh / "whole").touch()
    assert [path.name for path in target.iterdir()] == ["whole"]


def test_two_makes_do_not_work_on_one_home(tmp_path: Path) -> None:
    """The second says so at once."""
    lock = tmp_path / "lock"
    with locked(lock, wait=False), pytest.raises(LocalError, match="another make"), locked(lock, wait=False):
        pytest.fail("both hold the lock")


def test_a_run_remembers_its_variables(tmp_path: Path) -> None:
    """stop, status and a second start need none."""
    given = Variables(csv="/data/a.csv", port_base=str(BASE), at_end="restart", extra={"TRAINER_TREES": "50"})
    Run(tmp_path, given).remember()
    assert Run(tmp_path).variables == given
    assert Run(tmp_path, Variables(csv="/data/a.csv")).variables == given


@pytest.mark.parametrize(
    "other",
    [Variables(csv="/b.csv"), Variables(api_url="http://x"), Variables(scale="1"), Variables(port_base="24000")],
)
def test_another_input_names_the_choices(tmp_path: Path, other: Variables) -> None:
    """The data in the home belong to the input that they came from."""
    Run(tmp_path, Variables(csv="/a.csv", port_base=str(BASE))).remember()
    with pytest.raises(LocalError, match="make stop && make clean"):
        Run(tmp_path, other)


@pytest.mark.parametrize("other", [Variables(csv="/b.csv"), Variables(scale="1"), Variables(seed="2")])
def test_rows_made_by_chance_are_an_input_too(tmp_path: Path, other: Variables) -> None:
    """Another file, scale or seed would be other data."""
    Run(tmp_path).remember()
    with pytest.raises(LocalError, match="make stop && make clean"):
        Run(tmp_path, other)


def test_what_make_passes_on(tmp_path: Path) -> None:
    """A relative CSV is below the folder of make; an empty variable is none; VELETA_ variables are never read."""
    environ = {"CSV": "a.csv", "PORT_BASE": "23000", "AT_END": "", "VELETA_KAFKA": "elsewhere:1"}
    assert Variables.of_make(environ, tmp_path) == Variables(csv=str(tmp_path / "a.csv"), port_base="23000")
    assert Variables.of_make({"DATASET": "real_estate"}, tmp_path).dataset == "real_estate"
    assert Variables.of_make({"DATASET": "my/homes.toml"}, tmp_path).dataset == str(tmp_path / "my/homes.toml")


def test_a_dataset_file_that_cannot_be_read_is_named(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """In one line, before anything is started."""
    monkeypatch.setattr(command_line, "_HOME", tmp_path / "run")
    monkeypatch.setenv("DATASET", str(tmp_path / "none.toml"))
    assert command_line.main(["start"]) == 1
    assert (
        capsys.readouterr().err == f"DATASET={tmp_path}/none.toml: cannot read none.toml (No such file or directory)\n"
    )
    assert not (tmp_path / "run" / "run.json").exists()


def test_a_dataset_file_that_is_not_valid_is_named(tmp_path: Path) -> None:
    """With what is wrong in it, before anything is started; the next start may name another file."""
    text = load_dataset(str(ROOT / "tests/datasets/bicycles.toml")).text
    (tmp_path / "bad.toml").write_text(text.replace('target = "asking"', 'target = "fule"'))
    run = Run(tmp_path / "run", Variables(dataset=str(tmp_path / "bad.toml"), csv=str(tmp_path / "gone.csv")))
    with pytest.raises(Stop, match=r"bad\.toml: the dataset file is not valid: these are not columns: fule$"):
        run.start()
    assert not run.alive()
    assert not (tmp_path / "run" / "run.json").exists()


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("PORT_BASE", "80"),
        ("AT_END", "never"),
        ("SCALE", "0.0"),
        ("SCALE", "2"),
        ("API_URL", "x"),
        ("TREES", "-1"),
        ("WORKERS", "0"),
        ("KEEP_REQUESTS_DAYS", "10000"),
        ("START_TIMEOUT", "soon"),
    ],
)
def test_a_wrong_variable_is_named(
    name: str, value: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """With its value, in one line and with exit code 1."""
    monkeypatch.setenv(name, value)
    assert command_line.main(["start"]) == 1
    assert capsys.readouterr().err.startswith(f"{name}={value} is not ")


@pytest.mark.parametrize(
    ("variables", "said"),
    [({}, "which request? make purge REQUEST_ID=id"), ({"REQUEST_ID": "x"}, "the run is down: make start first")],
)
def test_a_purge_of_nothing_is_refused(
    variables: dict[str, str],
    said: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
) -> None:
    """In one line that says what to do."""
    monkeypatch.setattr(command_line, "_HOME", tmp_path)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert command_line.main(["purge"]) == 1
    assert capsys.readouterr().err.startswith(said)


def test_two_inputs_are_one_too_many() -> None:
    """Either our own source plays a file, or somebody's API is asked."""
    with pytest.raises(LocalError, match="CSV= and API_URL="):
        Variables(csv="/a.csv", api_url="http://x")
    with pytest.raises(LocalError, match="CSV= and SCALE="):
        Variables(csv="/a.csv", scale="1")
    with pytest.raises(LocalError, match="SEED= is of rows that are made up"):
        Variables(csv="/a.csv", seed="1")


def test_without_an_input_rows_are_made_by_chance(tmp_path: Path) -> None:
    """At 1/50, over and over; a file is played once, and somebody's API is restarted at its end."""
    made = Run(tmp_path / "made")
    made.remember()
    assert Variables.of_make({"SEED": "20261125"}, tmp_path).seed == "20261125"
    same = Variables.of_make({"SCALE": "0.020", "SEED": "01"}, tmp_path)
    assert Run(tmp_path / "made", same).variables == made.variables
    assert made.environment("source")["SOURCE_SCALE"] == "0.02"
    assert made.environment("poller")["POLLER_AT_END"] == "restart"
    played = Run(tmp_path / "played", Variables(csv="/a.csv"))
    assert "SOURCE_SCALE" not in played.environment("source")
    assert played.environment("poller")["POLLER_AT_END"] == "stop"
    assert Run(tmp_path / "asked", Variables(api_url="http://x")).environment("poller")["POLLER_AT_END"] == "restart"


def test_the_defaults_that_people_are_told_hold(tmp_path: Path) -> None:
    """Each variable's default, as the service that it is for gets it."""
    ours = Deployment(tmp_path / "ours")
    theirs = Deployment(tmp_path / "theirs", Variables(api_url="http://api:1"))
    file = Deployment(tmp_path / "file", Variables(csv="listings.csv"))
    poller, source = ours.environment("poller"), ours.environment("source")
    apart = theirs.environment("poller")
    told = {
        "SCALE": source["SOURCE_SCALE"],
        "SEED": source["SOURCE_SEED"],
        "CSV": source.get("SOURCE_CSV", ""),
        "DATASET": poller["DATASET"],
        "API_URL": ours.variables.api_url or "",
        "GROUP_NUMBER": poller["POLLER_GROUP_NUMBER"],
        "AT_END": f"{poller['POLLER_AT_END']}, with CSV {file.environment('poller')['POLLER_AT_END']}",
        "ON_NEW_EPOCH": ours.environment("loader")["LOADER_ON_NEW_EPOCH"],
        "POLL": poller["POLLER_POLL"],
        "POLL_EVERY": f"{poller['POLLER_POLL_EVERY']}, with API_URL {apart['POLLER_POLL_EVERY']}",
        "TREES": str(TrainerSettings.model_fields["trees"].default),
        "JOURNAL_SYNC": ours.environment("inference")["INFERENCE_JOURNAL_SYNC"],
        "WORKERS": ours.environment("inference")["INFERENCE_WORKERS"],
        "KEEP_REQUESTS_DAYS": ours.environment("retention")["RETENTION_KEEP_REQUESTS_DAYS"],
        "PORT_BASE": "",
        "START_TIMEOUT": f"{start_timeout({}):.0f}",
    }
    assert told == {name: rule.default for name, rule in RULES.items()}


def test_a_dataset_without_a_generator_needs_an_input(tmp_path: Path) -> None:
    """It says which, and leaves nothing running."""
    run = Run(tmp_path / "home", Variables(dataset=str(ROOT / "tests/datasets/bicycles.toml")))
    with pytest.raises(LocalError, match=r"CSV=file, or make start API_URL="):
        run.start()
    assert not run.alive()


@pytest.mark.failure("F71")
def test_a_missing_csv_is_named(tmp_path: Path) -> None:
    """Before anything is started."""
    with pytest.raises(LocalError, match=r"gone\.csv: there is no such file"):
        Run(tmp_path / "home", Variables(csv=str(tmp_path / "gone.csv"))).start()


@pytest.mark.failure("F71")
def test_a_port_in_use_is_named_with_what_it_is_for(tmp_path: Path) -> None:
    """And the way out of it; the failed start is not remembered."""
    base = free_base()
    with socket.create_server((HOST, base + 1)):
        run = Run(tmp_path / "home", Variables(port_base=str(base)))
        with pytest.raises(LocalError, match=f"port {base + 1}, needed for mysql, is in use: give PORT_BASE="):
            run.start_backing()
    assert not run.alive()
    assert Run(run.home).remembered == Variables()


@pytest.mark.failure("F71")
def test_a_full_disk_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two GiB at the home."""
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage(2**40, 2**40 - 2**29, 2**29))
    with pytest.raises(LocalError, match=r"0\.5 GiB are free"):
        checks.disk(tmp_path)


@pytest.mark.failure("F71")
@pytest.mark.parametrize(("version", "says"), [("11.0.2", "is Java 11: 17 is needed"), ("17.0.1", "")])
def test_an_old_java_is_refused(tmp_path: Path, version: str, says: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Kafka 4 needs 17; what is found on the PATH is named."""
    java = tmp_path / "java"
    java.write_text(f"#!/bin/sh\necho 'openjdk version \"{version}\"' >&2\n")
    java.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.defpath}")
    if says:
        with pytest.raises(LocalError, match=says):
            checks.java()
    else:
        assert checks.java() == str(java)


def test_a_missing_tool_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """With what to install."""
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(LocalError, match=r"mvn is not on the PATH"):
        checks.tool("mvn")


def test_services_get_what_they_need_and_no_more(tmp_path: Path) -> None:
    """A login only for those with a user of their own; the names of make's variables under their own prefix."""
    run = Run(tmp_path, Variables(csv="/a.csv", mysql_prefix="t1_", poll_every="2", extra={"TRAINER_TREES": "50"}))
    assert "MYSQL_PASSWORD" not in run.environment("poller")
    assert run.environment("poller")["POLLER_POLL_EVERY"] == "2"
    assert run.environment("poller")["POLLER_AT_END"] == "stop"
    assert run.environment("monitor")["MYSQL_USER"] == "t1_reader"
    assert run.environment("trainer")["TRAINER_TREES"] == "50"
    assert run.environment("source")["SOURCE_CSV"] == "/a.csv"


def test_somebodys_api_takes_the_place_of_our_source(tmp_path: Path) -> None:
    """Each GET of theirs moves their cursor, so nobody but the poller is told where it is."""
    run = Run(tmp_path, Variables(api_url="http://10.43.100.103:8080"))
    assert "source" not in run.parts
    assert run.environment("poller")["POLLER_API_URL"] == "http://10.43.100.103:8080"
    assert run.environment("poller")["POLLER_AT_END"] == "restart"
    assert "MONITOR_SOURCE_URL" not in run.environment("monitor")
    assert "VELETA_SOURCE_URL" not in run.environment_of_clients()


def test_a_part_that_waits_says_for_what() -> None:
    """The words of /readyz are those of status and of a start that took too long."""
    health = Health(ready=False, doing="reads batch 3", waits_for={"mysql": "connection refused"})
    assert str(health) == "reads batch 3; waits for mysql: connection refused"


def test_a_supervisord_that_shuts_down_counts_as_gone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It answers every question with a fault; the start that meets it waits for its end and begins anew."""

    def refuse() -> None:
        raise Fault(6, "SHUTDOWN_STATE")

    calls = nullcontext(SimpleNamespace(getAllProcessInfo=refuse))
    monkeypatch.setattr(Supervisor, "_calls", lambda _: calls)
    assert Supervisor(Deployment(tmp_path)).states() == {}


def test_memory_of_nothing_is_refused(tmp_path: Path) -> None:
    """It says what to do."""
    with pytest.raises(LocalError, match="nothing runs: make start first"):
        next(samples(Run(tmp_path), 1))


def test_memory_is_told_of_each_part_while_the_run_lives(backing: Run) -> None:
    """Servers have some, services that do not run have none; Kafka's share of its Java is more than 100 MB."""
    head, line = itertools.islice(samples(backing, 0), 2)
    told = dict(zip(head.split(), line.split(), strict=True))
    assert list(told) == ["time", *backing.parts, "services", "disk"]
    assert int(told["kafka"]) > 100
    assert (told["loader"], told["services"]) == ("0", "0")
    assert int(told["disk"].replace(",", "")) > 10


@pytest.mark.failure("F66")
def test_a_killed_part_leaves_no_child_behind(backing: Run) -> None:
    """MLflow's worker outlives its server and holds the port: it is ended before the next server starts."""
    killed = backing.pid("mlflow")
    left = set(processes.of(backing.home, "mlflow")) - {killed}
    assert left
    os.kill(killed, signal.SIGKILL)
    eventually(lambda: not left & set(processes.of(backing.home, "mlflow")), what="the worker is ended")
    eventually(lambda: backing.health(["mlflow"])["mlflow"].ready, what="the next server answers")
    again = backing.pid("mlflow")
    time.sleep(3)
    assert backing.pid("mlflow") == again


@pytest.mark.failure("F09")
def test_a_deleted_data_folder_of_mysql_is_begun_again(backing: Run) -> None:
    """While the rest stands: the next start makes a new one, with the passwords that everybody knows."""
    shutil.rmtree(backing.home / "mysql")
    os.kill(backing.pid("mysql"), signal.SIGKILL)
    others = {part: backing.pid(part) for part in ("kafka", "mlflow")}
    backing.start_backing(120)
    assert all(each.ready for each in backing.health(BACKING).values())
    assert {part: backing.pid(part) for part in others} == others


@pytest.mark.failure("F67")
def test_another_runs_database_takes_no_temporary_table_away(backing: Run, tmp_path: Path) -> None:
    """A starting MariaDB deletes the temporary tables that it finds, so each run has a folder of its own."""
    engine = mysql_engine(admin_login(backing))
    with engine.connect() as connection:
        connection.execute(sa.text("CREATE TEMPORARY TABLE mysql.veleta (a INT) ENGINE=Aria"))
        folder = Path(connection.execute(sa.text("SELECT @@tmpdir")).scalar_one())
        tables = sorted(folder.glob("#sql*"))
        mariadb.prepare(Deployment(tmp_path))
        assert tables
        assert sorted(folder.glob("#sql*")) == tables
    engine.dispose()
