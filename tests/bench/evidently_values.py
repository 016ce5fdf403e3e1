"""Prints Evidently's values for two samples: {"old": [...], "new": [...]} as JSON on its input, a JSON object back.

The packages of tests/bench/requirements.txt must be on the path.
"""

import json
import sys

import pandas as pd
from evidently.legacy.calculations.stattests import ks_stat_test, wasserstein_stat_test
from evidently.legacy.core import ColumnType

if __name__ == "__main__":
    samples = json.load(sys.stdin)
    old, new = pd.Series(samples["old"]), pd.Series(samples["new"])
    values = {
        test.name: float(test(old, new, ColumnType.Numerical, None).drift_score)
        for test in (ks_stat_test, wasserstein_stat_test)
    }
    sys.stdout.write(json.dumps(values))
