"""The API keys of inference: `python -m veleta.api_keys NAME` makes a key, and prints it and its entry of API_KEYS.

An entry is `name:sha256`: the key itself is stored nowhere.
"""

import re
import secrets
import sys
from hashlib import sha256
from typing import Annotated

from pydantic import AfterValidator

MAX_NAME = 64
"""Characters of a key's name."""
NO_KEYS = ("", "none")
PARTS = ("monitor", "demo")
"""The parts that send requests with a key of their own, which has the name of the part."""
_BYTES = 32
_NAME = rf"[A-Za-z0-9._-]{{1,{MAX_NAME}}}"
_ENTRY = re.compile(rf"(?:({_NAME}):)?([0-9a-fA-F]{{64}})")
_ADVICE = "use name:sha256, as make key NAME=ada prints it"


def digest(key: str) -> str:
    """The SHA-256 of a key, hexadecimal."""
    return sha256(key.encode(errors="surrogateescape")).hexdigest()


def names_by_digest(text: str) -> dict[str, str]:
    """The entries of API_KEYS: the name of each key by its digest. Empty if no key is required.

    An entry without a name, as an earlier version required it, has the name `key-` with the digest's first 8 digits.

    Raises:
        ValueError: an entry is wrong. The message does not contain it, because it may be a key.
    """
    names: dict[str, str] = {}
    if text in NO_KEYS:
        return names
    for position, entry in enumerate(text.split(","), 1):
        name, key_digest = _parse(position, entry.strip())
        if name in names.values() or key_digest in names:
            raise ValueError(f"entry {position} ({name}): the name or the key is there twice")
        names[key_digest] = name
    return names


def _parse(position: int, entry: str) -> tuple[str, str]:
    if not (match := _ENTRY.fullmatch(entry)):
        raise ValueError(f"entry {position} is wrong: {_ADVICE}")
    key_digest = match[2].lower()
    name = match[1] or f"key-{key_digest[:8]}"
    if name in PARTS:
        raise ValueError(f"entry {position}: {name} has a key of its own: use another name")
    if key_digest == digest(""):
        raise ValueError(f"entry {position} ({name}) is the digest of an empty key: {_ADVICE}")
    return name, key_digest


def _valid(text: str) -> str:
    names_by_digest(text)
    return text


ApiKeys = Annotated[str, AfterValidator(_valid)]
"""The text of API_KEYS."""


def new_key(name: str, earlier: str = "") -> str:
    """The lines with a new key and with API_KEYS, to which its entry was appended.

    Raises:
        ValueError: the name is not valid, or an earlier entry has it.
    """
    if not re.fullmatch(_NAME, name):
        raise ValueError(f"pass a name of 1 to {MAX_NAME} letters, digits, dots, _ and -: make key NAME=ada")
    key = secrets.token_urlsafe(_BYTES)
    entries = [*([] if earlier in NO_KEYS else [earlier]), f"{name}:{digest(key)}"]
    names_by_digest(",".join(entries))
    return f"key       {key}\nAPI_KEYS={','.join(entries)}"


if __name__ == "__main__":
    try:
        print(new_key("".join(sys.argv[1:2])))  # noqa: T201 - the output of the command
    except ValueError as error:
        sys.exit(f"api_keys: {error}")
