"""`python -m veleta_drift`."""

from veleta.service.lifecycle import serve
from veleta.service.optional_packages import ARROW, leave_out
from veleta_drift.settings import DriftSettings

if __name__ == "__main__":
    leave_out(ARROW)
    from veleta_drift.bootstrap import build

    serve("drift", DriftSettings, build)
