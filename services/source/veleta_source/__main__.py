"""`python -m veleta_source`."""

from veleta.service.lifecycle import serve
from veleta_source.bootstrap import build
from veleta_source.settings import SourceSettings

if __name__ == "__main__":
    serve("source", SourceSettings, build)
