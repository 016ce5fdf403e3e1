"""Builds source and connects it."""

from functools import partial

from veleta.dataset import load_dataset
from veleta.errors import Stop
from veleta.life import Life
from veleta.service import Service
from veleta_source.adapters.cursors import Cursors
from veleta_source.adapters.spool import split
from veleta_source.handlers import Api
from veleta_source.settings import SourceSettings


def build(settings: SourceSettings, life: Life, *, cursors: Cursors | None = None) -> Service:
    """Source on one CSV file and one folder; the cursors can be replaced."""
    dataset = load_dataset(settings.dataset)
    try:
        settings.state.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise Stop(f"SOURCE_STATE={settings.state}: {error.strerror}") from error
    splitting = partial(split, settings.csv, settings.state / "spool", dataset)
    api = Api(splitting, cursors or Cursors(settings.state / "cursors.json"), life)
    return Service(api.run, api.pages())
