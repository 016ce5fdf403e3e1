"""`python -m veleta_inference`."""

import uvloop

from veleta.service.lifecycle import run
from veleta.service.optional_packages import ARROW, leave_out
from veleta_inference.settings import InferenceSettings
from veleta_inference.workers import NAME, serve

if __name__ == "__main__":
    leave_out(ARROW)
    run(NAME, InferenceSettings, serve, uvloop.new_event_loop)
