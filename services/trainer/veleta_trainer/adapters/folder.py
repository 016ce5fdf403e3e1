"""What the trainer and its child process agree on: the files in a training's folder, and the child's exit codes."""

RECIPE = "recipe.json"
CHAMPION = "champion.cbm"
MODEL = "model.cbm"
METRICS = "metrics.json"
EXPLAIN = "explain"

AWAY, NOTHING_TO_LEARN = 75, 65
"""Exit codes (sysexits.h: EX_TEMPFAIL, EX_DATAERR)."""
