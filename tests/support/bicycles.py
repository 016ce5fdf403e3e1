"""The made-up rows of the second example, docs/examples/bicycles."""

import csv
import io
import random
from datetime import date, timedelta

from support.repository import ROOT

BICYCLES = ROOT / "docs/examples/bicycles/bicycles.toml"
BICYCLES_CSV = BICYCLES.with_suffix(".csv")
ROWS = 600


def bicycles_csv() -> str:
    """Rows whose price depends on maker, weight and gears. Every fiftieth is too heavy to be clean."""
    chance, text = random.Random(11), io.StringIO()  # noqa: S311 - example data, no secret
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["serial", "bought", "maker", "gears", "weight", "shop", "asking"])
    for serial in range(4000, 4000 + ROWS):
        maker, level = chance.choice([("Rota", 1.0), ("Velox", 1.8), ("Kette", 0.7)])
        gears, weight = chance.randrange(1, 31), max(6.0, round(chance.gauss(14, 3), 1))
        asking = round(level * (300 + 20 * gears) * (20 / weight) * chance.lognormvariate(0, 0.1))
        bought = date(2015, 1, 1) + timedelta(days=chance.randrange(3000))
        weighed = 45.0 if serial % 50 == 0 else weight
        writer.writerow([serial, bought.isoformat(), maker, gears, weighed, chance.randrange(1000, 9999), asking])
    return text.getvalue()
