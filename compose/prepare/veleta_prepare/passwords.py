"""`python -m veleta_prepare.passwords FOLDER OWN`: generates the secrets of a deployment in containers, each once.

FOLDER gets one folder for each part that needs a secret, if it is not there. The part reads the files in it from
/run/secrets. `prepare` has all secrets, every other part has only its own. A file in OWN with the name that `prepare`
uses replaces a generated secret:
- `mysql_password`: the administrator's, only before the first start of MySQL
- `kafka_password`: the administrator's
- `mysql_<user>_password`, `kafka_<user>_password`, `mlflow_<part>_token`: of each user and writer in `veleta.users`
- `jupyter_token`, `monitor_api_key`, `source_token`, `spark_secret`.
"""

import re
import secrets
import sys
from pathlib import Path

from veleta.files import write_synced
from veleta.users import (
    KAFKA_USERS,
    LOGINS,
    MLFLOW_WRITERS,
    OPERATOR,
    PASSWORD_VARIABLES,
    kafka_password_variable,
    token_variable,
)

PREPARE, ADMIN, TOKEN, MONITOR_KEY = "prepare", "mysql_password", "jupyter_token", "monitor_api_key"
SOURCE_TOKEN = "source_token"  # noqa: S105 - the name of a file
SPARK_SECRET = "spark_secret"  # noqa: S105 - the name of a file
_KAFKA = "kafka_password"
_MLFLOW_TOKENS = {part: token_variable(part).lower() for part in MLFLOW_WRITERS}
_USERS = (*map(str.lower, PASSWORD_VARIABLES), *_MLFLOW_TOKENS.values())
FILES: dict[str, dict[str, str]] = {
    PREPARE: {name: name for name in (ADMIN, _KAFKA, TOKEN, MONITOR_KEY, SOURCE_TOKEN, SPARK_SECRET, *_USERS)},
    "kafka": {_KAFKA: _KAFKA},
    "mysql": {"mysql_root_password": ADMIN},
    "mlflow": {name: name for name in _MLFLOW_TOKENS.values()},
    **{part: {"mysql_password": user.password_file} for part, user in LOGINS.items()},
}
FILES["notebooks"][TOKEN] = TOKEN
FILES["monitor"][MONITOR_KEY] = FILES["inference"]["inference_monitor_key"] = MONITOR_KEY
FILES["spark"] = {SPARK_SECRET: SPARK_SECRET}
FILES["source"] = {SOURCE_TOKEN: SOURCE_TOKEN}
FILES.setdefault("poller", {})["poller_api_token"] = SOURCE_TOKEN
for _user in KAFKA_USERS:
    if _user != OPERATOR:  # people's commands run in no container
        FILES.setdefault(_user, {})[_KAFKA] = kafka_password_variable(_user).lower()
for _part, _token in _MLFLOW_TOKENS.items():
    FILES[_part]["mlflow_tracking_token"] = _token
"""The files of each part, and the name of the secret in each file."""


def generate_passwords(folder: Path, own: Path) -> None:
    """Write every file of every part.

    Raises:
        ValueError: a file in `own` is empty or has an unknown name, or the administrator's password was replaced.
    """
    given = _given(own)
    for part in FILES:
        (folder / part).mkdir(mode=0o700, parents=True, exist_ok=True)
    saved = {path.name: path.read_text() for path in (folder / PREPARE).iterdir() if not path.name.startswith(".")}
    if ADMIN in saved and given.get(ADMIN, saved[ADMIN]) != saved[ADMIN]:
        raise ValueError(
            f"{ADMIN} cannot be replaced after the first start of MySQL: restore the first one, "
            "or run docker compose down --volumes, which deletes all data"
        )
    values = {name: secrets.token_urlsafe(24) for name in FILES[PREPARE]} | saved | given
    for part, files in FILES.items():
        for name, secret in files.items():
            write_synced(folder / part / name, values[secret].encode())


def _given(own: Path) -> dict[str, str]:
    """The operator's own secrets, by name."""
    given = {path.name: path.read_text().strip() for path in own.iterdir()}
    if unknown := sorted(given.keys() - FILES[PREPARE].keys()):
        raise ValueError(f"{', '.join(unknown)}: unknown secret; use one of {', '.join(FILES[PREPARE])}")
    if not re.fullmatch(r"[\w-]*", given.get(_KAFKA, ""), re.ASCII):
        raise ValueError(f"{_KAFKA}: use only letters, digits, - and _")
    if empty := sorted(name for name, value in given.items() if not value):
        raise ValueError(f"{', '.join(empty)}: the file is empty")
    return given


if __name__ == "__main__":
    try:
        generate_passwords(*map(Path, sys.argv[1:]))
    except (ValueError, OSError) as error:
        sys.exit(f"secrets: {error}")
