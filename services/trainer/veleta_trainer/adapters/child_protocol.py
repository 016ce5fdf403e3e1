"""What trainer and child process share: the files in a training's folder, and the exit codes of the child."""

RECIPE = "recipe.json"
CHAMPION = "champion.cbm"
CHAMPION_DATASET = "champion.toml"
MODEL = "model.cbm"
METRICS = "metrics.json"
EXPLAIN = "explain"

KAFKA_UNAVAILABLE, NOT_TRAINABLE = 75, 65
"""Exit codes (sysexits.h: EX_TEMPFAIL, EX_DATAERR)."""
