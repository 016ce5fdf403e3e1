"""The entries of API_KEYS, and the command that makes a key."""

import subprocess
import sys
from hashlib import sha256

import pytest

from veleta.api_keys import MAX_NAME, digest, names_by_digest, new_key

ONE, TWO = sha256(b"one").hexdigest(), sha256(b"two").hexdigest()


def test_an_entry_has_a_name_and_a_digest() -> None:
    """The digits of a digest may be capitals. Spaces around an entry make no difference."""
    assert names_by_digest(f"ada:{ONE.upper()}, bob.2-x_:{TWO}") == {ONE: "ada", TWO: "bob.2-x_"}


def test_an_entry_of_an_earlier_version_has_a_name_of_its_digest() -> None:
    """It had no name."""
    assert names_by_digest(f"{ONE},bob:{TWO}") == {ONE: f"key-{ONE[:8]}", TWO: "bob"}


@pytest.mark.parametrize("text", ["", "none"])
def test_without_entries_no_key_is_required(text: str) -> None:
    """As without the variable."""
    assert names_by_digest(text) == {}


@pytest.mark.failure("F380")
@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("ada:secret", "entry 1 is wrong: use name:sha256, as make key NAME=ada prints it"),
        (f"ada:{ONE},", "entry 2 is wrong: "),
        (f"ada lovelace:{ONE}", "entry 1 is wrong: "),
        (f":{ONE}", "entry 1 is wrong: "),
        (f"{'a' * (MAX_NAME + 1)}:{ONE}", "entry 1 is wrong: "),
        (f"none,ada:{ONE}", "entry 1 is wrong: "),
        (f"ada:{digest('')}", "entry 1 (ada) is the digest of an empty key"),
        (digest(""), "entry 1 (key-e3b0c442) is the digest of an empty key"),
        (f"ada:{ONE},ada:{TWO}", "entry 2 (ada): the name or the key is there twice"),
        (f"ada:{ONE},bob:{ONE}", "entry 2 (bob): the name or the key is there twice"),
        (f"monitor:{ONE}", "entry 1: monitor has a key of its own"),
        (f"demo:{ONE}", "entry 1: demo has a key of its own"),
    ],
)
def test_a_wrong_entry_is_refused(text: str, message: str) -> None:
    """With its position. It is not shown: a key in the place of its digest is a secret."""
    with pytest.raises(ValueError, match=r"^entry \d") as failed:
        names_by_digest(text)
    assert str(failed.value).startswith(message)
    assert "secret" not in str(failed.value)


def test_a_new_key_is_appended_to_the_earlier_ones() -> None:
    """Its digest is that of the printed key. Two keys differ."""
    key_line, entries = new_key("bob", f"ada:{ONE}").splitlines()
    key = key_line.split()[1]
    assert entries == f"API_KEYS=ada:{ONE},bob:{digest(key)}"
    assert len(key) >= 43
    assert key not in new_key("bob", "none")
    assert new_key("bob", "none").splitlines()[1].startswith("API_KEYS=bob:")


@pytest.mark.parametrize(("name", "message"), [("", "pass a name"), ("a b", "pass a name"), ("ada", "there twice")])
def test_a_wrong_name_is_refused(name: str, message: str) -> None:
    """Also one that an entry has."""
    with pytest.raises(ValueError, match=message):
        new_key(name, f"ada:{ONE}")


def test_the_command_makes_a_key() -> None:
    """In a container too, where make is missing."""
    command = [sys.executable, "-m", "veleta.api_keys"]
    done = subprocess.run([*command, "ada"], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.splitlines()[1].startswith("API_KEYS=ada:")
    failed = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert (failed.returncode, failed.stdout) == (1, "")
    assert failed.stderr.startswith("api_keys: pass a name")
