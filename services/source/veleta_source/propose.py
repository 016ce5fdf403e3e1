"""`python -m veleta_source.propose`: writes a dataset file for an input file, and prints its path.

What it says to a person is on stderr. The file gets its name after a start would accept it; no file is overwritten.
"""

import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Literal

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict

from veleta.column_names import column_key
from veleta.dataset import load_dataset, shipped_datasets
from veleta.errors import Stop
from veleta.printable import printable
from veleta.settings import read_settings
from veleta_source.preflight import check
from veleta_source.proposal.cells import read_cells
from veleta_source.proposal.dataset_text import dataset_text
from veleta_source.proposal.names import dataset_name, file_stem, title_of
from veleta_source.proposal.rules import make_plan


class ProposalSettings(BaseSettings):
    """The variables of `make dataset`."""

    model_config = SettingsConfigDict(frozen=True, env_ignore_empty=True)
    csv: Path = Field(description="the CSV or Parquet file with the rows")
    target: str = Field(description="the column that is predicted, as the file names it")
    out: Path | None = Field(None, description="the dataset file that is written")
    existing: Literal["refuse", "use"] = Field("refuse", description="what to do if that file is there")


def main() -> None:
    """Write the file and print its path. Raises Stop."""
    settings = read_settings(ProposalSettings)
    path = settings.out or Path(f"{dataset_name(settings.csv, shipped_datasets())}.toml")
    if path.suffix != ".toml":
        raise Stop(f"OUT={path}: use a name that ends in .toml")
    if path.exists():
        require_usable(path, settings)
        _tell(f"{path} is there already: it is used as it is")
    else:
        report = write_proposal(settings.csv, settings.target, path)
        for line in report if settings.existing == "refuse" else report[:1]:  # a start reports on the rows itself
            _tell(line)
    sys.stdout.write(f"{path}\n")


def require_usable(path: Path, settings: ProposalSettings) -> None:
    """Raises Stop if a file that is there is not to be used, or predicts another column."""
    if settings.existing == "refuse":
        raise Stop(f"{path} is there already: pass OUT=another.toml, or delete it")
    dataset = load_dataset(str(path))
    target = dataset.by_name[dataset.target]
    if column_key(settings.target) not in map(column_key, (target.name, target.title, target.header)):
        raise Stop(f"{path} is there already, and its target is {target.name}, not {settings.target}: "
                   "delete it, or pass DATASET= instead of TARGET=")  # fmt: skip


def write_proposal(csv: Path, target: str, path: Path) -> list[str]:
    """Write the dataset file for `csv` to `path`, and return what to say about it.

    Raises:
        Stop: no model can be trained on the file, or the dataset file cannot be written.
    """
    file = read_cells(csv, target)
    try:
        plan = make_plan(file, target)
    except Stop as error:
        raise Stop(f"{csv}: {error}") from error
    stem = file_stem(csv)
    name = dataset_name(csv, shipped_datasets())
    text = dataset_text(plan, file, name, title_of(stem, name), csv.name)
    with TemporaryDirectory() as folder:
        temporary = Path(folder) / path.name
        temporary.write_text(text, encoding="utf-8")
        report = list(check(csv, load_dataset(str(temporary))))
    try:
        with path.open("x", encoding="utf-8") as written:
            written.write(text)
    except OSError as error:
        raise Stop(f"OUT={path}: cannot be written: {error.strerror}") from error
    counts = f"{len(plan.columns)} columns, {len(plan.left_out)} left out"
    return [f"{path} is written: {counts}; read its comments, and change what is wrong", *report]


def _tell(line: str) -> None:
    sys.stderr.write(f"{printable(line)}\n")
    sys.stderr.flush()


if __name__ == "__main__":
    try:
        main()
    except Stop as error:
        _tell(str(error))
        sys.exit(1)
