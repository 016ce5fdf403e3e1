"""`python -m veleta_loader`."""

from veleta.service.lifecycle import serve
from veleta_loader.bootstrap import build
from veleta_loader.settings import LoaderSettings

if __name__ == "__main__":
    serve("loader", LoaderSettings, build)
