"""The SHA-256 of a CatBoost model's file: a model that is loaded must be the one that was trained."""

from hashlib import sha256

from veleta.errors import Reject


def model_digest(content: bytes) -> str:
    """The SHA-256 of a file's content, in hexadecimal."""
    return sha256(content).hexdigest()


def check_digest(content: bytes, expected: str) -> None:
    """Raise Reject if the content of a model's file has another SHA-256 than `expected`."""
    if (found := model_digest(content)) != expected:
        raise Reject("the model's file is not the one that was trained", f"its SHA-256 is {found}, not {expected}")
