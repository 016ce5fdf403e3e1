"""`python -m veleta_prepare.passwords FOLDER OWN`: makes the passwords of a deployment, each once.

FOLDER has a folder for each part that needs one, and in it files that are called as the settings are, which the part
reads from /run/secrets. `prepare` holds all of them, every other part its own only. A file in OWN, called as `prepare`
calls it, replaces what chance would give; the administrator's can be replaced only before MySQL's first start.
"""

import secrets
import sys
from pathlib import Path

from veleta.files import write_synced

KEEPER, ADMIN, TOKEN = "prepare", "mysql_password", "jupyter_token"
USERS = {
    "loader": "loader",
    "drift": "drift",
    "trainer": "trainer",
    "inference": "inference",
    "retention": "retention",
    "monitor": "reader",
    "notebooks": "reader",
}
"""By part: the user as whom it logs in."""


def own_password(part: str) -> str:
    """What `prepare` calls the password with which a part logs in."""
    return f"mysql_{USERS[part]}_password"


HOLDERS: dict[str, dict[str, str]] = {
    KEEPER: {name: name for name in (ADMIN, TOKEN, *map(own_password, USERS))},
    "mysql": {"mysql_root_password": ADMIN},
    **{part: {"mysql_password": own_password(part)} for part in USERS},
}
HOLDERS["notebooks"][TOKEN] = TOKEN
"""By part: its files, and what `prepare` calls the secret in each."""


def make_passwords(folder: Path, own: Path) -> None:
    """Write every file of every part.

    Raises:
        ValueError: a file in `own` is empty, has another name than those known, or comes too late.
    """
    given = _given(own)
    kept = {path.name: path.read_text() for path in (folder / KEEPER).iterdir() if not path.name.startswith(".")}
    if ADMIN in kept and given.get(ADMIN, kept[ADMIN]) != kept[ADMIN]:
        raise ValueError(f"{ADMIN} cannot be replaced once MySQL has it: docker compose down -v begins anew")
    fresh = {name: secrets.token_urlsafe(24) for name in HOLDERS[KEEPER]}
    words = fresh | kept | given
    for part, files in HOLDERS.items():
        for name, secret in files.items():
            write_synced(folder / part / name, words[secret].encode())


def _given(own: Path) -> dict[str, str]:
    """The secrets that somebody brings, by their names."""
    given = {path.name: path.read_text().strip() for path in own.iterdir()}
    if unknown := sorted(given.keys() - HOLDERS[KEEPER].keys()):
        raise ValueError(f"{', '.join(unknown)}: no such secret; known are {', '.join(HOLDERS[KEEPER])}")
    if empty := sorted(name for name, word in given.items() if not word):
        raise ValueError(f"{', '.join(empty)}: the file is empty")
    return given


if __name__ == "__main__":
    try:
        make_passwords(*map(Path, sys.argv[1:]))
    except (ValueError, OSError) as error:
        sys.exit(f"secrets: {error}")
