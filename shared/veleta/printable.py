"""Text from topics, requests and responses, made safe for a terminal."""

import unicodedata

_KEPT = "\n\t"


def printable(text: str) -> str:
    r"""The text with each character escaped that a terminal may obey: `\x1b`, `\x9b`, `\r`, `\u202e`.

    These are the control characters except newline and tab, and Unicode's invisible ones, which change the order of the
    text or hide a part of it.
    """
    if text.isprintable():
        return text
    return "".join(character if _is_safe(character) else _escaped(character) for character in text)


def _is_safe(character: str) -> bool:
    return character.isprintable() or character in _KEPT or unicodedata.category(character) == "Zs"


def _escaped(character: str) -> str:
    return character.encode("unicode_escape").decode()
