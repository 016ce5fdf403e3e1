"""`python -m veleta_drift.backtest_in_time`: compares policies on the periods of a file, in order of time.

It needs no running deployment. `make backtest ORDER=time` first has models learn from the rows up to each period, and
this program runs each policy through the periods with them: see docs/drift.md.
"""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict

from veleta import console
from veleta.dataset import load_dataset
from veleta.errors import Stop
from veleta.files import write_synced
from veleta.input.clean_rows import clean_rows
from veleta.origins import read_origins
from veleta.settings import read_settings
from veleta_drift.domain.line_plot import Panel, line_plot
from veleta_drift.domain.time_order import POLICIES, History, run

LAST = 4
"""The last periods, which have a column of their own."""
PANEL_WIDTH = 460
Found = Mapping[str, Sequence[Mapping[str, Any]]]


class TimeBacktestSettings(BaseSettings):
    """The variables of `make backtest ORDER=time`."""

    model_config = SettingsConfigDict(frozen=True)
    csv: Path = Field(description="the CSV or Parquet file with the rows")
    dataset: str = Field("real_estate", description="the dataset: a name, or the path of a TOML file")
    out: Path = Field(Path("backtest.json"), description="the JSON file that is written; the plot has the suffix .svg")
    origins: Path = Field(Path("origins.parquet"), description="what the models of each period predict")


def main() -> None:
    """Run the policies, write the measures and the plot, and print a table. Raises Stop."""
    settings = read_settings(TimeBacktestSettings)
    dataset = load_dataset(settings.dataset)
    try:
        predictions = read_origins(settings.origins)
    except (OSError, ValueError, pa.ArrowInvalid) as error:
        raise Stop(f"ORIGINS={settings.origins}: cannot be read: {error}".splitlines()[0]) from error
    rows = [values for _, values in clean_rows(settings.csv, dataset)]
    if len(rows) != len(predictions.origins.periods):
        raise Stop(f"ORIGINS={settings.origins}: are of other rows than those of {settings.csv}")
    history = History(dataset, rows, predictions)
    found = {name: run(history, policy) for name, policy in POLICIES.items()}
    for line in table(found):
        console.show(line)
    write_synced(settings.out, f"{json.dumps(found, indent=2)}\n".encode())
    plot = settings.out.with_suffix(".svg")
    write_synced(plot, time_plot(found).encode())
    console.show(f"measures: {settings.out}, plot: {plot}")


def table(found: Found) -> list[str]:
    """A line for each policy: trainings, and the errors of all periods and of the last ones, by rows."""
    last = f"last {LAST}"
    lines = [f"{'':<12}{'trainings':>10}{'MAE':>12}{f'MAE {last}':>14}{f'bias {last}':>14}{f'coverage {last}':>18}"]
    for name, periods in found.items():
        trainings = 1 + sum(each["trained"] for each in periods)
        mae, late = _mean(periods, "mae"), periods[-LAST:]
        figures = f"{trainings:>10}{mae:>12,.0f}{_mean(late, 'mae'):>14,.0f}{_mean(late, 'bias'):>+14.3f}"
        lines.append(f"{name:<12}{figures}{100 * _mean(late, 'coverage'):>16.1f} %")
    return lines


def time_plot(found: Found) -> str:
    """The errors of each policy in each period, and their bias."""
    labels = [str(position + 1) for position in range(len(next(iter(found.values()))))]
    maes = {name: [each["mae"] for each in periods] for name, periods in found.items()}
    biases = {name: [each["bias"] for each in periods] for name, periods in found.items()}
    highest = max(max(values) for values in maes.values())
    farthest = max(max(map(abs, values)) for values in biases.values()) or 1.0
    panels = [
        Panel("mean absolute error, by period", labels, maes, 0, highest),
        Panel("bias: mean of log(price) - log(prediction)", labels, biases, -farthest, farthest),
    ]
    return line_plot(panels, PANEL_WIDTH)


def _mean(periods: Sequence[Mapping[str, Any]], measure: str) -> float:
    """The mean of a measure over the rows of periods."""
    return float(np.average([each[measure] for each in periods], weights=[each["rows"] for each in periods]))


if __name__ == "__main__":
    console.run(main)
