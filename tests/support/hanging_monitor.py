"""The monitor with short time limits: `python -m support.hanging_monitor`. SIGUSR1 blocks its event loop."""

import signal
import time

from veleta.service import watchdog
from veleta_monitor import server

if __name__ == "__main__":
    watchdog.TICK_SECONDS = watchdog.EXIT_MARGIN = watchdog.LOG_SECONDS = server.PROBE_SECONDS = 0.2
    watchdog.STOP_SECONDS = 1.0
    signal.signal(signal.SIGUSR1, lambda _number, _frame: time.sleep(60))
    server.serve_page()
