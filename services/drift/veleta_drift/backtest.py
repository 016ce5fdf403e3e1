"""`python -m veleta_drift.backtest`: measures the drift policies on the rows of a file.

It needs no running deployment. `make backtest` first has each row predicted by a model that did not learn from it, and
this program compares random batches of these rows: see docs/drift.md. With the argument `check` it only reads its
variables, so that a wrong one is reported before the model is fitted.
"""

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from pydantic import BeforeValidator, Field
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from veleta.bounds import Seed
from veleta.console import run, show
from veleta.dataset import Dataset, DriftPolicy, load_dataset
from veleta.errors import Stop
from veleta.files import write_synced
from veleta.input.clean_rows import clean_rows
from veleta.settings import read_settings
from veleta_drift.domain.planted_shifts import NOTHING, Sample, Shift, shifts
from veleta_drift.domain.power_plot import power_plot
from veleta_drift.domain.simulation import POLICIES, scores, simulate, totals

SIZES = (18, 35, 100, 500, 2_000, 20_000)
PERCENT = 100


def _sizes(text: object) -> object:
    try:
        found = tuple(sorted({int(each) for each in str(text).split(",")})) if isinstance(text, str) else SIZES
    except ValueError:
        found = ()
    if not found or found[0] < 1:
        raise ValueError("use numbers of rows, as 100,500,2000")
    return found


class BacktestSettings(BaseSettings):
    """The variables of `make backtest`."""

    model_config = SettingsConfigDict(frozen=True)
    csv: Path = Field(description="the CSV or Parquet file with the rows")
    dataset: str = Field("real_estate", description="the dataset: a name, or the path of a TOML file")
    rows: Annotated[tuple[int, ...], NoDecode, BeforeValidator(_sizes)] = Field(
        SIZES, description="the sizes of the batches, with commas"
    )
    draws: int = Field(200, ge=1, le=10_000, description="random pairs of a reference and a batch")
    seed: Seed = Field(0, description="decides which rows are drawn")
    policy: DriftPolicy | None = Field(None, description="the only policy that is measured")
    out: Path = Field(Path("backtest.json"), description="the JSON file that is written; the plot has the suffix .svg")
    predictions: Path = Field(
        Path("backtest.parquet"), description="the predictions of `make evaluate` for the same file"
    )


def main() -> None:
    """Simulate, write the counts and the plot, and print a table. Raises Stop."""
    settings = read_settings(BacktestSettings)
    dataset = load_dataset(settings.dataset)
    if sys.argv[1:] == ["check"]:
        return
    rows = read_sample(settings.csv, settings.predictions, dataset)
    sizes = [size for size in settings.rows if size <= len(rows)]
    if skipped := [f"{size:,}" for size in settings.rows if size > len(rows)]:
        show(f"skipped: batches of {', '.join(skipped)} rows, because the file has {len(rows):,} clean ones")
    if not sizes:
        raise Stop(f"CSV={settings.csv}: {len(rows):,} clean rows are too few for each size in ROWS")
    planted = shifts(dataset, rows)
    policies = [settings.policy] if settings.policy else list(POLICIES)
    found: dict[str, dict[str, Any]] = {policy: {} for policy in policies}
    for size in sizes:
        for policy in policies:
            found[policy][str(size)] = {
                shift.name: scores(simulate(dataset, rows, policy, shift, size, settings.draws, settings.seed), shift)
                for shift in planted
            }
        for line in table(found, str(size), planted):
            show(line)
    counts = {policy: summary(each) for policy, each in found.items()}
    write_synced(settings.out, f"{json.dumps(counts, indent=2)}\n".encode())
    plot = settings.out.with_suffix(".svg")
    write_synced(plot, power_plot(found).encode())
    show(f"counts: {settings.out}, plot: {plot}")


def read_sample(csv: Path, predictions: Path, dataset: Dataset) -> Sample:
    """The clean rows of a file with their predictions.

    Raises:
        Stop: the predictions cannot be read, or are of other rows.
        FaultyInput: the file cannot be read, or has no usable row.
    """
    try:
        predicted = pq.read_table(predictions, columns=["row", dataset.target, "prediction", "size"])
    except (OSError, pa.ArrowInvalid) as error:
        raise Stop(f"PREDICTIONS={predictions}: cannot be read: {error}".splitlines()[0]) from error
    numbered = list(clean_rows(csv, dataset))
    targets = np.array([values[dataset.target] for _, values in numbered], float)
    numbers, expected, guesses, sizes = (np.asarray(predicted.column(name)) for name in predicted.column_names)
    if [number for number, _ in numbered] != numbers.tolist() or not np.array_equal(targets, expected):
        raise Stop(f"PREDICTIONS={predictions}: are of other rows than those of {csv}")
    return Sample.of_rows(dataset, [values for _, values in numbered], np.log(targets) - np.log(guesses), sizes)


def summary(by_size: Mapping[str, Mapping[str, Mapping[str, Any]]]) -> dict[str, Any]:
    """The counts of a policy: of all batches, and by their size."""
    sizes = {
        size: {**totals(list(found.values()), found[NOTHING]["drift"]), "shifts": found}
        for size, found in by_size.items()
    }
    alarms = sum(each["false_alarms"] for each in sizes.values())
    return {**totals([each for found in by_size.values() for each in found.values()], alarms), "rows": sizes}


def table(found: Mapping[str, Mapping[str, Mapping[str, Any]]], size: str, planted: list[Shift]) -> list[str]:
    """The lines for one size.

    For each shift: the share of batches with a training, of those with any report, and the mean number of batches until
    a training.
    """
    draws = next(iter(found.values()))[size][NOTHING]["draws"]
    lines = [
        "",
        f"batches of {int(size):,} rows, {draws:,} draws",
        f"{'':<42}{'training':>10}{'reported':>10}{'delay':>7}",
    ]
    for policy, by_size in found.items():
        for shift in planted:
            each = by_size[size][shift.name]
            drift, noticed = (f"{PERCENT * each[key] / draws:.1f} %" for key in ("drift", "noticed"))
            delay = "-" if each["delay"] is None else f"{each['delay']:.1f}"
            low, high = (PERCENT * bound for bound in each["interval"])
            interval = f"  95 %: {low:.1f} to {high:.1f} %" if shift.name == NOTHING else ""
            lines.append(f"{policy:<12}{shift.name:<30}{drift:>10}{noticed:>10}{delay:>7}{interval}")
    return lines


if __name__ == "__main__":
    run(main)
