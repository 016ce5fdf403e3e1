"""Builds source and connects it."""

from functools import partial

from veleta.dataset import load_dataset
from veleta.errors import Stop
from veleta.service.health import ServiceHealth
from veleta.service.lifecycle import Service
from veleta_source.adapters.cursors import Cursors
from veleta_source.adapters.spool import generate, split
from veleta_source.domain.generator import generator_of
from veleta_source.handlers import Api
from veleta_source.settings import SourceSettings


def build(settings: SourceSettings, health: ServiceHealth, *, cursors: Cursors | None = None) -> Service:
    """Source on one CSV file, or a generator, and one folder; the cursors can be replaced."""
    dataset = load_dataset(settings.dataset)
    try:
        settings.state.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise Stop(f"SOURCE_STATE={settings.state}: {error.strerror}") from error
    spool = settings.state / "spool"
    if settings.csv:
        fill = partial(split, settings.csv, spool, dataset)
    else:
        generator_of(dataset)
        fill = partial(generate, settings.scale, settings.seed, spool, dataset)
    api = Api(fill, cursors or Cursors(settings.state / "cursors.json"), health)
    return Service(api.run, api.routes())
