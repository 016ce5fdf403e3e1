"""`python -m veleta_poller`."""

from veleta.service.lifecycle import serve
from veleta_poller.bootstrap import build
from veleta_poller.settings import PollerSettings

if __name__ == "__main__":
    serve("poller", PollerSettings, build)
