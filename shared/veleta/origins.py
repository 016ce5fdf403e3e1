"""What models of the past predict for later periods: the file between the two steps of a backtest in order of time.

The trainer writes it, and drift reads it.
"""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from pydantic import BaseModel, ConfigDict

from veleta.intervals import Calibration
from veleta.market_levels import MarketLevels

METADATA = b"origins"
COLUMNS = {
    "origin": pa.int32(),
    "house": pa.bool_(),
    "row": pa.int64(),
    "logarithm": pa.float64(),
    "size": pa.float64(),
}
"""The position of the model in `Origins.models`' origins, whether it is one without the level, the position of the row
among the clean rows, the predicted logarithm of the price, and the expected size of its error."""


class OriginModel(BaseModel):
    """A model that learnt from the first periods, up to the one at `origin`.

    `market` has their levels. A model that predicts prices with their level has none.
    """

    model_config = ConfigDict(frozen=True)
    origin: int
    house: bool
    rows: int
    seconds: float
    calibration: Calibration
    market: MarketLevels | None


class Origins(BaseModel):
    """The models, and the number of the period of each clean row, in the order of the file."""

    model_config = ConfigDict(frozen=True)
    periods: list[int]
    models: list[OriginModel]


class Predictions:
    """What each model predicts: for the rows of later periods, and for the houses that it did not learn from."""

    def __init__(self, origins: Origins, table: pa.Table) -> None:
        self.origins = origins
        self._models = {(each.origin, each.house): each for each in origins.models}
        columns = {name: np.asarray(table.column(name)) for name in COLUMNS}
        self._of: dict[tuple[int, bool], tuple[np.ndarray, np.ndarray, np.ndarray]] = {}
        for origin, house in self._models:
            chosen = (columns["origin"] == origin) & (columns["house"] == house)
            rows, logarithms, sizes = (columns[name][chosen] for name in ("row", "logarithm", "size"))
            self._of[origin, house] = rows, logarithms, sizes

    def model(self, origin: int, *, house: bool) -> OriginModel:
        """The model of an origin."""
        return self._models[origin, house]

    def of(self, origin: int, *, house: bool) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """The positions of rows, the predicted logarithms of their prices, and the expected sizes of the errors."""
        return self._of[origin, house]


def write_origins(path: Path, origins: Origins, table: pa.Table) -> None:
    """Write the models and their predictions, a table with COLUMNS."""
    temporary = path.with_name(f".{path.name}.temporary")
    pq.write_table(table.replace_schema_metadata({METADATA: origins.model_dump_json()}), temporary)
    temporary.rename(path)


def read_origins(path: Path) -> Predictions:
    """Read them. Raises ValueError or OSError: it is not such a file."""
    table = pq.read_table(path)
    return Predictions(Origins.model_validate_json((table.schema.metadata or {}).get(METADATA, b"")), table)
