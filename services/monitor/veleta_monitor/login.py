"""The password that a visitor needs for the buttons, with a limit on guesses."""

import hmac
import threading
import time
from collections.abc import Callable, MutableMapping
from hashlib import sha256
from typing import Any

WAIT_SECONDS = 1.0
"""The pause after a wrong password, for its address. It does not grow: others may share the address, as behind a proxy.

A password has at least 12 characters, so a guess each second finds none.
"""
MAX_ADDRESSES = 1_000
"""Addresses with wrong passwords that are remembered. The oldest is forgotten first."""
SIGNED_IN = "signed in"


class Login:
    """Compares passwords. One for all visitors."""

    def __init__(self, password: str, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._digest = _digest(password)
        self._monotonic = monotonic
        self._lock = threading.Lock()
        self._next_at: dict[str, float] = {}

    def sign_in(self, password: str, address: str, session: MutableMapping[Any, Any]) -> str:
        """Mark the visitor's session as signed in. Otherwise return the reason why not."""
        with self._lock:
            now = self._monotonic()
            if now < self._next_at.get(address, now):
                return "Too many wrong passwords: try again in a second."
            self._next_at.pop(address, None)
            if hmac.compare_digest(_digest(password), self._digest):
                session[SIGNED_IN] = True
                return ""
            self._next_at[address] = now + WAIT_SECONDS
            if len(self._next_at) > MAX_ADDRESSES:
                del self._next_at[next(iter(self._next_at))]
            return "Wrong password."


def is_signed_in(session: MutableMapping[Any, Any]) -> bool:
    """Whether this session may send commands."""
    return session.get(SIGNED_IN) is True


def _digest(password: str) -> bytes:
    return sha256(password.encode(errors="surrogatepass")).digest()
