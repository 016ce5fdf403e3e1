"""The settings of the job."""

import pytest

from veleta.errors import Stop
from veleta.settings import read_settings
from veleta.users import KAFKA_USERS, PASSWORD_VARIABLES, USERS
from veleta_prepare.settings import PrepareSettings


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """The administrator's login, and a password for each user."""
    for name in ("MYSQL_USER", "MYSQL_PASSWORD", *PASSWORD_VARIABLES):
        monkeypatch.setenv(name, name.lower())


def test_each_user_has_a_password() -> None:
    """From the variable with the user's name."""
    settings = read_settings(PrepareSettings)
    for user in USERS:
        assert getattr(settings.users, f"{user.name}_password").get_secret_value() == user.password_file
    kafka = {user: password.get_secret_value() for user, password in settings.kafka_passwords.items()}
    assert kafka == {user: f"kafka_{user}_password" for user in KAFKA_USERS}


def test_a_missing_password_is_named_by_its_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    """The message has the name that the operator sets."""
    monkeypatch.delenv("MYSQL_DRIFT_PASSWORD")
    with pytest.raises(Stop, match=r"^MYSQL_DRIFT_PASSWORD is missing: "):
        read_settings(PrepareSettings)


@pytest.mark.parametrize("hosts", ["x' IDENTIFIED BY 'y", "a b", "10.0.0.1:3306"])
def test_hosts_of_users_are_no_sql(monkeypatch: pytest.MonkeyPatch, hosts: str) -> None:
    """They stand in statements that take no parameter there."""
    monkeypatch.setenv("MYSQL_USER_HOSTS", hosts)
    with pytest.raises(Stop, match=r"^MYSQL_USER_HOSTS=.*from where the users log in"):
        read_settings(PrepareSettings)
