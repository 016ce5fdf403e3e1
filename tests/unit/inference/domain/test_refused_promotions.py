"""RefusedPromotions: only the newest is tried again, after pauses that grow up to a limit."""

from veleta_inference.domain.promotions import PromotionKey
from veleta_inference.domain.refused_promotions import FIRST_PAUSE_SECONDS, MAX_PAUSE_SECONDS, RefusedPromotions


def key(seq: int) -> PromotionKey:
    """The key of the promotion with a number."""
    return seq, 1, "run", "models:/m"


class Setup:
    """Refused promotions with a clock that is set by hand."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.refused = RefusedPromotions(lambda: self.now)

    def pauses(self, seq: int, count: int) -> list[float]:
        """The seconds until a promotion may be tried, each time that it was refused again."""
        seconds = []
        for _ in range(count):
            self.refused.add(key(seq), "fault")
            start = self.now
            while not self.refused.may_be_tried(key(seq)):
                self.now += 1
            seconds.append(self.now - start)
        return seconds


def test_the_pauses_double_up_to_a_limit() -> None:
    """A newer promotion starts with the first pause."""
    setup = Setup()
    assert setup.pauses(5, 7) == [30, 60, 120, 240, 480, MAX_PAUSE_SECONDS, MAX_PAUSE_SECONDS]
    assert setup.pauses(6, 2) == [FIRST_PAUSE_SECONDS, 2 * FIRST_PAUSE_SECONDS]


def test_an_older_promotion_is_not_tried_again() -> None:
    """Unless the newer ones are forgotten. A promotion that is not refused may always be tried."""
    setup = Setup()
    for seq in (5, 4):
        setup.refused.add(key(seq), f"fault {seq}")
    setup.now += FIRST_PAUSE_SECONDS
    assert [seq for seq in (3, 4, 5, 6) if setup.refused.may_be_tried(key(seq))] == [3, 5, 6]
    setup.refused.forget(key(5))
    setup.refused.forget(key(3))
    assert setup.refused.may_be_tried(key(4))


def test_the_summary_has_the_newest_fault_and_counts_the_others() -> None:
    """Of the promotions above a number: those below the served one are of no interest."""
    setup = Setup()
    for seq in (2, 4, 3):
        setup.refused.add(key(seq), f"fault {seq}")
    assert setup.refused.summary(-1) == setup.refused.summary(1) == "fault 4; earlier refusals: 2"
    assert setup.refused.summary(2) == "fault 4; earlier refusals: 1"
    assert setup.refused.summary(3) == "fault 4"
    assert setup.refused.summary(4) == ""
