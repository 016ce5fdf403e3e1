"""The password that a visitor needs for the buttons, with a limit on guesses."""

import hmac
import threading
import time
from collections.abc import Callable, MutableMapping
from dataclasses import dataclass
from hashlib import sha256
from math import ceil
from typing import Any

FIRST_WAIT_SECONDS, MAX_WAIT_SECONDS = 1.0, 300.0
"""The pause after a wrong password. It doubles with each further one from the same address."""
MAX_ADDRESSES = 1_000
"""Addresses with wrong passwords that are remembered. The oldest is forgotten first."""
SIGNED_IN = "signed in"


@dataclass(frozen=True)
class _WrongPasswords:
    wait: float = 0.0
    """Seconds that the address had to wait after the last one."""
    next_at: float = 0.0


class Login:
    """Compares passwords. One for all visitors."""

    def __init__(self, password: str, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._digest = _digest(password)
        self._monotonic = monotonic
        self._lock = threading.Lock()
        self._wrong: dict[str, _WrongPasswords] = {}

    def sign_in(self, password: str, address: str, session: MutableMapping[Any, Any]) -> str:
        """Mark the visitor's session as signed in. Otherwise return the reason why not."""
        with self._lock:
            now, wrong = self._monotonic(), self._wrong.pop(address, _WrongPasswords())
            if now < wrong.next_at:
                self._wrong[address] = wrong
                return f"Too many wrong passwords: wait {ceil(wrong.next_at - now)} s."
            if hmac.compare_digest(_digest(password), self._digest):
                session[SIGNED_IN] = True
                return ""
            wait = min(MAX_WAIT_SECONDS, 2 * wrong.wait or FIRST_WAIT_SECONDS)
            self._wrong[address] = _WrongPasswords(wait, now + wait)
            if len(self._wrong) > MAX_ADDRESSES:
                del self._wrong[next(iter(self._wrong))]
            return "Wrong password."


def is_signed_in(session: MutableMapping[Any, Any]) -> bool:
    """Whether this session may send commands."""
    return session.get(SIGNED_IN) is True


def _digest(password: str) -> bytes:
    return sha256(password.encode(errors="surrogatepass")).digest()
