"""The files of a run, and the environment of each part."""

import re
from pathlib import Path

import pytest
from sqlalchemy import make_url

from veleta.users import KAFKA_USERS, LOGINS, MLFLOW_WRITERS, USERS, kafka_password_variable, token_variable
from veleta_local import kafka, mlflow_server
from veleta_local.deployment import Deployment
from veleta_local.files import export_lines, write_private
from veleta_local.variables import Variables


@pytest.mark.failure("F375")
def test_hosts_reaches_every_service(tmp_path: Path) -> None:
    """A proxy on this machine may pass its own name on."""
    run = Deployment(tmp_path, Variables(hosts="a.example.com,b"))
    assert {run.environment(name)[f"{name.upper()}_HOSTS"] for name in run.services} == {"a.example.com,b"}


def test_only_the_owner_can_read_passwords(tmp_path: Path) -> None:
    """Files with passwords are never readable by others, not even for a moment."""
    deployment = Deployment(tmp_path / "home", Variables(csv="/a.csv"))
    deployment.save()
    write_private(deployment.home / "env", export_lines(deployment.environment_of_clients()))
    assert {(deployment.home / name).stat().st_mode & 0o777 for name in ("secrets", "env", "run.json")} == {0o600}
    assert deployment.mysql_password in (deployment.home / "secrets").read_text()
    assert Deployment(deployment.home).mysql_password == deployment.mysql_password


def test_a_service_gets_the_settings_that_it_needs(tmp_path: Path) -> None:
    """A login only if it has a MySQL user; the variables of make under its own prefix."""
    variables = Variables(csv="/a.csv", mysql_prefix="t1_", poll_every="2", extra={"TRAINER_TREES": "50"})
    deployment = Deployment(tmp_path, variables)
    assert "MYSQL_PASSWORD" not in deployment.environment("poller")
    assert float(deployment.environment("poller")["POLLER_POLL_EVERY"]) == 2
    assert deployment.environment("poller")["POLLER_AT_END"] == "stop"
    assert deployment.environment("monitor")["MYSQL_USER"] == "t1_reader"
    assert deployment.environment("trainer")["TRAINER_TREES"] == "50"
    assert deployment.environment("source")["SOURCE_CSV"] == "/a.csv"


def test_the_job_gets_the_password_of_each_user(tmp_path: Path) -> None:
    """Each part logs in with the same password; the users' passwords differ."""
    deployment = Deployment(tmp_path)
    deployment.save()
    job = deployment.environment_of_prepare()
    for part, user in LOGINS.items():
        login = deployment.environment_of_notebooks() if part == "notebooks" else deployment.environment(part)
        assert (login["MYSQL_USER"], login["MYSQL_PASSWORD"]) == (user.name, job[user.password_variable])
    assert len({job[user.password_variable] for user in USERS}) == len(USERS)


@pytest.mark.failure("F385")
def test_each_service_of_kafka_logs_in_as_itself(tmp_path: Path) -> None:
    """With the password that the job sets. Only the job and the broker have the administrator's."""
    deployment = Deployment(tmp_path)
    deployment.save()
    job = deployment.environment_of_prepare()
    services = [part for part in deployment.services if part in KAFKA_USERS]
    for part in services:
        login = deployment.environment(part)
        assert (login["KAFKA_USER"], login["KAFKA_PASSWORD"]) == (part, job[kafka_password_variable(part)])
    assert len({job[kafka_password_variable(user)] for user in KAFKA_USERS} | {job["KAFKA_PASSWORD"]}) == 9
    assert "KAFKA_USER" not in {**deployment.environment("source"), **deployment.environment_of_clients()}
    assert deployment.environment_of_clients()["VELETA_KAFKA"] == deployment.kafka.bootstrap
    assert deployment.kafka.user is None


@pytest.mark.failure("F385")
def test_only_the_owner_can_read_the_administrators_password(tmp_path: Path) -> None:
    """It is in the broker's settings."""
    deployment = Deployment(tmp_path)
    deployment.save()
    (tmp_path / "kafka").mkdir()
    kafka.provision(deployment)
    settings = tmp_path / "supervisor/kafka.properties"
    assert deployment.kafka_admin.password.get_secret_value() in settings.read_text()
    assert settings.stat().st_mode & 0o777 == 0o600


@pytest.mark.failure("F389")
def test_a_run_of_an_earlier_version_gets_the_passwords_of_kafka(tmp_path: Path) -> None:
    """At its next start. The others stay."""
    earlier = Deployment(tmp_path)
    earlier.save()
    secrets = tmp_path / "secrets"
    kept = [line for line in secrets.read_text().splitlines(keepends=True) if "KAFKA" not in line]
    secrets.write_text("".join(kept))
    Deployment(tmp_path).save()
    assert set(kept) < set(secrets.read_text().splitlines(keepends=True))
    assert Deployment(tmp_path).kafka_operator == Deployment(tmp_path).kafka_operator


def test_an_external_api_replaces_source(tmp_path: Path) -> None:
    """Each GET moves the cursor of the external API, so only the poller gets its address."""
    deployment = Deployment(tmp_path, Variables(api_url="http://10.43.100.103:8080"))
    assert "source" not in deployment.parts
    assert deployment.environment("poller")["POLLER_API_URL"] == "http://10.43.100.103:8080"
    assert deployment.environment("poller")["POLLER_AT_END"] == "restart"
    assert "MONITOR_SOURCE_URL" not in deployment.environment("monitor")
    assert "VELETA_SOURCE_URL" not in deployment.environment_of_clients()


@pytest.mark.failure("F393")
def test_only_source_and_its_poller_have_the_token_for_batches(tmp_path: Path) -> None:
    """An external API does not get it."""
    deployment = Deployment(tmp_path)
    token = deployment.environment("source")["SOURCE_TOKEN"]
    assert len(token) == 32
    having = [part for part in deployment.services if token in deployment.environment(part).values()]
    assert having == ["source", "poller"]
    external = Deployment(tmp_path, Variables(api_url="http://10.43.100.103:8080"))
    assert external.environment("poller")["POLLER_API_TOKEN"] == ""


def test_clients_get_one_login_in_three_forms(tmp_path: Path) -> None:
    """A URL for synchronous drivers, one for asynchronous drivers, and its parts for drivers that take no URL."""
    variables = Deployment(tmp_path, Variables(port_base=20_500)).environment_of_clients()
    for name, driver in (("VELETA_MYSQL_URL", "pymysql"), ("VELETA_MYSQL_ASYNC_URL", "asyncmy")):
        url = make_url(variables[name])
        assert url.get_driver_name() == driver
        parts = {part: variables[f"VELETA_MYSQL_{part.upper()}"] for part in ("host", "port", "user", "password")}
        assert parts == {"host": url.host, "port": str(url.port), "user": url.username, "password": url.password}


@pytest.mark.failure("F352")
def test_only_the_writers_and_mlflow_get_a_token(tmp_path: Path) -> None:
    """Each writer has its own. Tools outside the run, the notebooks and the job have none."""
    deployment = Deployment(tmp_path)
    deployment.save()
    server = deployment.environment_of_mlflow()
    for part in MLFLOW_WRITERS:
        assert deployment.environment(part)["MLFLOW_TRACKING_TOKEN"] == server[token_variable(part)]
    others = [deployment.environment(part) for part in deployment.services if part not in MLFLOW_WRITERS]
    others += [deployment.environment_of_notebooks(), deployment.environment_of_clients()]
    others += [deployment.environment_of_prepare()]
    assert len(set(deployment.mlflow_tokens.values())) == len(MLFLOW_WRITERS)
    assert not set(deployment.mlflow_tokens.values()) & {
        value for environment in others for value in environment.values()
    }


@pytest.mark.failure("F383")
def test_only_the_monitor_gets_its_password(tmp_path: Path) -> None:
    """It survives in the run's own file, which only the owner reads. Without one there are no buttons."""
    Deployment(tmp_path, Variables(monitor_password="correct horse battery")).save()
    deployment = Deployment(tmp_path)
    holders = [part for part in deployment.services if "correct horse battery" in deployment.environment(part).values()]
    assert holders == ["monitor"]
    assert "correct horse battery" not in deployment.environment_of_clients().values()
    assert Deployment(tmp_path / "new").environment("monitor")["MONITOR_PASSWORD"] == ""


@pytest.mark.failure("F354")
def test_the_home_of_mlflow_is_deleted_with_the_run(tmp_path: Path) -> None:
    """What it stores in its HOME, such as the settings of its assistant, is no longer there for the next run."""
    deployment = Deployment(tmp_path / "home")
    program = mlflow_server.program(deployment)
    assert Path(program.environment["HOME"]).is_relative_to(deployment.home)
    assert f"HOME='{deployment.home}/mlflow'\n" in program.script()


@pytest.mark.failure("F355")
def test_a_run_of_an_earlier_version_gets_tokens_and_keys(tmp_path: Path) -> None:
    """At its next start. Its passwords stay."""
    earlier = Deployment(tmp_path)
    earlier.save()
    secrets = tmp_path / "secrets"
    kept = [
        line for line in secrets.read_text().splitlines(keepends=True) if not re.match(r"\w*(TOKEN|API_KEY)=", line)
    ]
    secrets.write_text("".join(kept))
    Deployment(tmp_path).save()
    assert set(kept) < set(secrets.read_text().splitlines(keepends=True))
    assert Deployment(tmp_path).mlflow_tokens.keys() == set(MLFLOW_WRITERS)
    assert Deployment(tmp_path).mlflow_tokens == Deployment(tmp_path).mlflow_tokens
    assert Deployment(tmp_path).api_key("monitor") == Deployment(tmp_path).api_key("monitor")
