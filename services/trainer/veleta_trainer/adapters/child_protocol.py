"""What trainer and child processes share: the files in a training's folder, and the exit codes of the children."""

from dataclasses import dataclass

CACHE = "batches"
"""The folder of cleaned batches, beside those of trainings."""
RECIPE = "recipe.json"
CHAMPION = "champion.cbm"
CHAMPION_DATASET = "champion.toml"
MODEL = "model.cbm"
ERROR_MODEL = "errors.cbm"
METRICS = "metrics.json"
GATES_FILE = "gates.json"
EXPLAIN = "explain"
SAMPLE = "sample.parquet"
EVALUATION = "evaluation"
FIGURES = "measures.csv"
DATASET_FILE = "dataset.toml"
MODELS = "models.json"
TRAINED_WITH = "trained_with.toml"
CHECKS = "checks.json"
BATCH = "batch.json"
LEVELS = "levels.json"
MEASURES = "measures.json"
SPARK_LOG = "spark.log"
SCRATCH = "spark"
"""The folder of a session's temporary files: rows, in parts, and what was learnt."""

UNAVAILABLE, NOT_TRAINABLE = 75, 65
"""Exit codes (sysexits.h: EX_TEMPFAIL, EX_DATAERR)."""
MAX_ERROR_CHARACTERS = 2_000
"""The characters of a child's stderr that an error has: the last ones."""


@dataclass(frozen=True)
class LoggedModels:
    """The models of a run in MLflow: address and SHA-256 of the native one, and the address of the one to register."""

    native: str
    native_digest: str
    source: str
