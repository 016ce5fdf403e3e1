"""`python -m veleta_retention`."""

from veleta.service.lifecycle import serve
from veleta_retention.bootstrap import build
from veleta_retention.settings import RetentionSettings

if __name__ == "__main__":
    serve("retention", RetentionSettings, build)
