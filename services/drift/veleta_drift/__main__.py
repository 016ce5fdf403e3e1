"""`python -m veleta_drift`."""

from veleta.service.lifecycle import serve
from veleta_drift.bootstrap import build
from veleta_drift.settings import DriftSettings

if __name__ == "__main__":
    serve("drift", DriftSettings, build)
