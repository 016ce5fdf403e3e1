"""The password of the buttons."""

from typing import Any

import pytest

from veleta_monitor.login import MAX_ADDRESSES, Login, is_signed_in

PASSWORD = "correct horse battery"  # noqa: S105 - of this test
HERE, THERE = "192.0.2.7", "192.0.2.8"


class Door:
    """A login with a clock of its own."""

    def __init__(self) -> None:
        self.now = 1_000.0
        self.login = Login(PASSWORD, lambda: self.now)

    def try_password(self, password: str, address: str = HERE) -> str:
        """The answer to an attempt in a new session, which is signed in only if there is none."""
        session: dict[Any, Any] = {}
        answer = self.login.sign_in(password, address, session)
        assert is_signed_in(session) is (answer == "")
        return answer


@pytest.fixture
def door() -> Door:
    return Door()


@pytest.mark.failure("F383")
@pytest.mark.parametrize("wrong", ["", "none", PASSWORD.upper(), PASSWORD + " ", "\ud800"])
def test_only_the_password_opens(door: Door, wrong: str) -> None:
    """The session of one visitor alone."""
    assert door.try_password(PASSWORD) == ""
    assert door.try_password(wrong) == "Wrong password."


@pytest.mark.failure("F384")
def test_an_address_waits_a_second_after_each_wrong_password(door: Door) -> None:
    """However many there were: others may share the address. During the wait the right one opens nothing either."""
    for _ in range(20):
        assert door.try_password("guess") == "Wrong password."
        door.now += 0.9
        assert door.try_password(PASSWORD) == "Too many wrong passwords: try again in a second."
        door.now += 0.1
    assert door.try_password(PASSWORD) == ""


@pytest.mark.failure("F384")
def test_guesses_of_one_address_do_not_lock_others_out(door: Door) -> None:
    """A number of addresses is remembered; the oldest is forgotten first."""
    door.try_password("guess")
    assert door.try_password(PASSWORD, THERE) == ""
    for number in range(MAX_ADDRESSES):
        door.try_password("guess", str(number))
    assert door.try_password("guess", str(MAX_ADDRESSES - 1)).startswith("Too many")
    assert door.try_password(PASSWORD) == ""
