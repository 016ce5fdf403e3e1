"""Promotions whose models were refused, and when one is tried again."""

from collections.abc import Callable

from veleta_inference.domain.promotions import PromotionKey

FIRST_PAUSE_SECONDS, MAX_PAUSE_SECONDS, FACTOR = 30.0, 900.0, 2.0
"""The pauses before the first retry and at most between two, and the growth from one to the next."""


class RefusedPromotions:
    """Remembers refused promotions. Only the newest is tried again: its file may be repaired."""

    def __init__(self, monotonic: Callable[[], float]) -> None:
        """`monotonic` returns seconds."""
        self._monotonic = monotonic
        self._faults: dict[PromotionKey, str] = {}
        self._pause = self._due = 0.0

    def add(self, key: PromotionKey, fault: str) -> None:
        """Remember that a promotion was refused, with its fault."""
        if key >= max(self._faults, default=key):
            self._pause = min(FACTOR * self._pause, MAX_PAUSE_SECONDS) if key in self._faults else FIRST_PAUSE_SECONDS
            self._due = self._monotonic() + self._pause
        self._faults[key] = fault

    def forget(self, key: PromotionKey) -> None:
        """Forget a promotion that is no longer known."""
        self._faults.pop(key, None)

    def may_be_tried(self, key: PromotionKey) -> bool:
        """Whether a promotion is not refused, or is the newest refused one and its pause is over."""
        return key not in self._faults or (key == max(self._faults) and self._monotonic() >= self._due)

    def summary(self, above: int) -> str:
        """The fault of the newest promotion above a number, and how many others there are. Empty if there is none."""
        refused = [key for key in self._faults if key[0] > above]
        if not refused:
            return ""
        others = f"; earlier refusals: {len(refused) - 1}" if len(refused) > 1 else ""
        return self._faults[max(refused)] + others
