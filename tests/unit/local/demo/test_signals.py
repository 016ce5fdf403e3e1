"""The signals that end the demo."""

import os
import signal
from collections.abc import Iterator

import pytest

from veleta_local.demo.signals import EndSignals, hang_up, until_signal

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@pytest.fixture(autouse=True)
def handlers() -> Iterator[None]:
    """Restores the handlers of the signals."""
    before = {each: signal.getsignal(each) for each in SIGNALS}
    yield
    for each, handler in before.items():
        signal.signal(each, handler)


@pytest.mark.parametrize("number", SIGNALS)
def test_a_signal_ends_the_block(number: signal.Signals) -> None:
    """Later ones are counted, so that the run is stopped without an interruption."""
    signals = EndSignals()
    with until_signal(signals):
        os.kill(os.getpid(), number)
        pytest.fail("the block continues")
    os.kill(os.getpid(), number)
    assert signals.count == 2


def test_a_signal_has_no_effect_after_a_fault() -> None:
    """The stop that follows the fault is not interrupted."""
    signals = EndSignals()
    with pytest.raises(ZeroDivisionError), until_signal(signals):
        raise ZeroDivisionError
    os.kill(os.getpid(), signal.SIGINT)
    assert signals.count == 1


def test_nohup_protects_from_a_closed_terminal() -> None:
    """Its SIGHUP stays ignored."""
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    signals = EndSignals()
    with until_signal(signals):
        hang_up()
    assert signals.count == 0
