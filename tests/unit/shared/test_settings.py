"""Settings are read from the environment, and errors name the variable."""

import os
from pathlib import Path

import pytest
from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict

from veleta.adapters.mysql import database_url
from veleta.api_keys import ApiKeys
from veleta.errors import Stop
from veleta.settings import KafkaSettings, MysqlSettings, ServiceSettings, read_settings, variables


class ExampleSettings(ServiceSettings):
    """The settings of an example service."""

    model_config = SettingsConfigDict(env_prefix="EXAMPLE_", frozen=True)
    port: int = Field(1, description="x")
    folder: str = Field(description="x")
    kafka: KafkaSettings = Field(default_factory=KafkaSettings)
    mysql: MysqlSettings = Field(default_factory=MysqlSettings)


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Only the required variables."""
    for name in os.environ:
        if name.startswith(("EXAMPLE_", "KAFKA_", "MYSQL_", "MLFLOW_", "DATASET")):
            monkeypatch.delenv(name)
    monkeypatch.setenv("EXAMPLE_FOLDER", "f")
    monkeypatch.setenv("MYSQL_USER", "u")
    monkeypatch.setenv("MYSQL_PASSWORD", "p@ss/word")


def refusal() -> str:
    with pytest.raises(Stop) as caught:
        read_settings(ExampleSettings)
    return str(caught.value)


def test_a_service_and_a_dependency_have_their_own_prefixes(monkeypatch: pytest.MonkeyPatch) -> None:
    """One environment can have the variables of many processes."""
    monkeypatch.setenv("EXAMPLE_PORT", "77")
    monkeypatch.setenv("KAFKA_BOOTSTRAP", "elsewhere:1")
    monkeypatch.setenv("DATASET", "cars")
    settings = read_settings(ExampleSettings)
    assert (settings.port, settings.kafka.bootstrap, settings.dataset, settings.folder) == (
        77,
        "elsewhere:1",
        "cars",
        "f",
    )


@pytest.mark.parametrize("name", ["EXAMPLE_PROT", "EXAMPLE_DATASET", "EXAMPLE_KAFKA"])
def test_an_unknown_name_with_the_services_prefix_is_refused(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """It would have no effect: it is a typo, or no setting of the service."""
    monkeypatch.setenv(name, "1")
    assert refusal().startswith(f"{name} is no setting: ")


def test_names_with_other_prefixes_are_ignored(monkeypatch: pytest.MonkeyPatch) -> None:
    """The environment has variables of other programs."""
    monkeypatch.setenv("EXAMPLES", "1")
    monkeypatch.setenv("LOADER_PORT", "x")
    assert read_settings(ExampleSettings).port == 1


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("EXAMPLE_FOLDER", None, "EXAMPLE_FOLDER is missing: use a text (x)"),
        ("EXAMPLE_PORT", "many", "EXAMPLE_PORT=many: use a whole number (x)"),
        ("MYSQL_PASSWORD", None, "MYSQL_PASSWORD is missing: use a text (the password of that user)"),
        ("MYSQL_PORT", "many", "MYSQL_PORT=many: use a whole number from 1 up to 65,535 (the port of MySQL)"),
    ],
)
def test_an_error_names_the_variable(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str | None, message: str
) -> None:
    """Not the field of the model."""
    monkeypatch.delenv(name, raising=False) if value is None else monkeypatch.setenv(name, value)
    assert message in refusal()


@pytest.mark.failure("F200")
def test_all_faults_are_reported_together(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of the service, of what is nested in its settings, and unknown names: a line for each."""
    for name, value in {"EXAMPLE_PROT": "1", "EXAMPLE_PORT": "many", "MYSQL_PORT": "0"}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("MYSQL_USER")
    assert [line.replace("=", " ").split()[0] for line in refusal().splitlines()] == [
        "EXAMPLE_PROT", "MYSQL_PORT", "MYSQL_USER", "EXAMPLE_PORT",
    ]  # fmt: skip


def test_a_wrong_secret_is_not_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    """A key in the place of its digest is a secret too."""

    class Keys(BaseSettings):
        api_keys: ApiKeys = Field("", repr=False, description="digests")

    monkeypatch.setenv("API_KEYS", "my secret")
    with pytest.raises(Stop, match=r"^API_KEYS: entry 1 is wrong: use name:sha256, as"):
        read_settings(Keys)


def test_a_password_is_not_shown() -> None:
    """Neither in the settings nor in the address. It may contain any character."""
    settings = read_settings(ExampleSettings)
    assert "p@ss" not in repr(settings)
    assert "p@ss" not in str(database_url(settings.mysql, "pymysql"))
    assert database_url(settings.mysql, "pymysql").password == os.environ["MYSQL_PASSWORD"]


def test_a_model_lists_its_own_variables() -> None:
    """Without those of nested models."""
    assert list(variables(MysqlSettings)) == [
        "MYSQL_HOST", "MYSQL_PORT", "MYSQL_USER", "MYSQL_PASSWORD", "MYSQL_PREFIX",
    ]  # fmt: skip


def test_a_container_reads_secrets_from_files(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A file has the name of the variable. The variable overrides it."""
    (tmp_path / "mysql_password").write_text("of the file")
    monkeypatch.setitem(MysqlSettings.model_config, "secrets_dir", tmp_path)
    assert MysqlSettings().password.get_secret_value() == "p@ss/word"
    monkeypatch.delenv("MYSQL_PASSWORD")
    assert MysqlSettings().password.get_secret_value() == "of the file"
