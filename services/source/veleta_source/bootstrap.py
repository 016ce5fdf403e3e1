"""Builds and connects the parts of the source."""

from veleta.dataset import load_dataset
from veleta.errors import Stop
from veleta.service.health import ServiceHealth
from veleta.service.lifecycle import Service
from veleta_source.adapters.batch_files import GeneratedRows, SplitFile
from veleta_source.adapters.cursors import Cursors
from veleta_source.domain.generator import parse_generator
from veleta_source.handlers import UNSAFE_PATHS, DataApi, Input
from veleta_source.settings import SourceSettings


def build(settings: SourceSettings, health: ServiceHealth) -> Service:
    """The source on a file or generated rows, and one folder."""
    dataset = load_dataset(settings.dataset)
    try:
        settings.state.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise Stop(f"SOURCE_STATE={settings.state}: {error.strerror}") from error
    folder = settings.state / "spool"
    source: Input
    if settings.csv:
        source = SplitFile(settings.csv, folder, dataset)
    else:
        parse_generator(dataset)  # a fault stops the process at once
        source = GeneratedRows(settings.scale, settings.seed, folder, dataset)
    token = settings.token.get_secret_value() if settings.token else ""
    api = DataApi(source, Cursors(settings.state / "cursors.json"), health, token)
    return Service(api.run, api.routes(), UNSAFE_PATHS)
