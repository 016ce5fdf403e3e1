"""The passwords of a deployment in containers: each is generated once, each part has only its own."""

from pathlib import Path

import pytest

from veleta.users import KAFKA_USERS, LOGINS, MLFLOW_WRITERS, OPERATOR
from veleta_prepare.passwords import ADMIN, FILES, PREPARE, generate_passwords


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """An empty volume for each part."""
    for part in FILES:
        (tmp_path / "all" / part).mkdir(parents=True)
    return tmp_path / "all"


@pytest.fixture
def own(tmp_path: Path) -> Path:
    """The folder of the operator's own secrets, empty."""
    path = tmp_path / "own"
    path.mkdir()
    return path


def written(folder: Path) -> dict[str, dict[str, str]]:
    """The files of each part with their content."""
    return {part.name: {path.name: path.read_text() for path in part.iterdir()} for part in folder.iterdir()}


def test_each_part_gets_only_its_own_passwords(folder: Path, own: Path) -> None:
    """Parts with one user have one password; only `prepare` has all passwords."""
    generate_passwords(folder, own)
    files = written(folder)
    assert files["mysql"] == {"mysql_root_password": files[PREPARE][ADMIN]}
    for part, user in LOGINS.items():
        assert files[part]["mysql_password"] == files[PREPARE][user.password_file]
    assert files.keys() == FILES.keys()
    servers = (PREPARE, "kafka", "mysql", "mlflow", "source", "spark")
    passwords = {part: {name for name in names if "password" in name} for part, names in files.items()}
    kafka = {part: {"kafka_password"} for part in KAFKA_USERS if part != OPERATOR}
    assert {part: names for part, names in passwords.items() if part not in servers} == {
        part: kafka.get(part, set()) | ({"mysql_password"} if part in LOGINS else set()) for part in {*LOGINS, *kafka}
    }
    assert files["kafka"] == {"kafka_password": files[PREPARE]["kafka_password"]}
    for part in kafka:
        assert files[part]["kafka_password"] == files[PREPARE][f"kafka_{part}_password"]
    values = set(files[PREPARE].values())
    assert len(values) == len(files[PREPARE])
    assert min(map(len, values)) == 32


def test_missing_folders_are_made(tmp_path: Path, own: Path) -> None:
    """Without containers there are no volumes. Only the owner can read them."""
    generate_passwords(tmp_path / "new", own)
    assert written(tmp_path / "new").keys() == FILES.keys()
    assert {part.stat().st_mode & 0o777 for part in (tmp_path / "new").iterdir()} == {0o700}


def test_a_second_run_changes_nothing(folder: Path, own: Path) -> None:
    """Running parts have read theirs."""
    generate_passwords(folder, own)
    before = written(folder)
    generate_passwords(folder, own)
    assert written(folder) == before


def test_a_lost_volume_is_filled_again(folder: Path, own: Path) -> None:
    """From the files of `prepare`."""
    generate_passwords(folder, own)
    before = written(folder)
    (folder / "loader/mysql_password").unlink()
    generate_passwords(folder, own)
    assert written(folder) == before


def test_own_passwords_replace_generated_ones(folder: Path, own: Path) -> None:
    """At any time, except that of the administrator. A line break at the end does not count."""
    generate_passwords(folder, own)
    (own / LOGINS["drift"].password_file).write_text("mine\n")
    generate_passwords(folder, own)
    files = written(folder)
    assert "mine" in files["drift"].values()
    assert files[PREPARE][LOGINS["drift"].password_file] == "mine"


def test_the_administrators_password_is_fixed_after_the_first_start(folder: Path, own: Path) -> None:
    """MySQL reads it once. `prepare` could not log in with another one."""
    (own / ADMIN).write_text("mine")
    generate_passwords(folder, own)
    generate_passwords(folder, own)
    assert written(folder)["mysql"] == {"mysql_root_password": "mine"}
    (own / ADMIN).write_text("another")
    with pytest.raises(ValueError, match="cannot be replaced after the first start of MySQL"):
        generate_passwords(folder, own)


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("mysql_lodaer_password", "x", "unknown secret; use one of mysql_password"),
        (ADMIN, "\n", "the file is empty"),
        ("kafka_password", 'a"b', "use only letters, digits, - and _"),
    ],
)
def test_a_wrong_secret_is_refused(folder: Path, own: Path, name: str, text: str, message: str) -> None:
    """Nothing is written."""
    (own / name).write_text(text)
    with pytest.raises(ValueError, match=f"{name}: {message}"):
        generate_passwords(folder, own)
    assert not any(written(folder).values())


@pytest.mark.failure("F352")
def test_only_mlflow_and_the_writer_itself_have_its_token(folder: Path, own: Path) -> None:
    """The others can only read what MLflow has."""
    generate_passwords(folder, own)
    files = written(folder)
    for part in MLFLOW_WRITERS:
        token = files["mlflow"][f"mlflow_{part}_token"]
        assert files[part]["mlflow_tracking_token"] == token
        assert {name for name, secrets in files.items() if token in secrets.values()} == {part, "mlflow", PREPARE}


@pytest.mark.failure("F393")
def test_only_source_and_the_poller_have_the_token_for_batches(folder: Path, own: Path) -> None:
    """Under the name of each one's setting."""
    generate_passwords(folder, own)
    files = written(folder)
    token = files["source"]["source_token"]
    assert files["poller"]["poller_api_token"] == token
    assert {name for name, secrets in files.items() if token in secrets.values()} == {"source", "poller", PREPARE}
