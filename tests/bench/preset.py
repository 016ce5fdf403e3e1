"""Evidently's drift preset on two tables: `preset.py OLD NEW COLUMNS` prints its seconds, and waits for its input.

`bench.drift` runs this file with the packages of tests/bench/requirements.txt. COLUMNS is a JSON object with the names
of `numbers` and of `texts`. The output is a JSON list: the seconds, and those of a processor.
"""

import json
import sys
import time

import pandas as pd
from evidently import DataDefinition, Dataset, Report
from evidently.presets import DataDriftPreset


def main(old: str, new: str, columns: str) -> None:
    """Read both tables, compare them, and print what the comparison took."""
    named = json.loads(columns)
    definition = DataDefinition(numerical_columns=named["numbers"], categorical_columns=named["texts"])
    frames = [pd.read_parquet(path, columns=[*named["numbers"], *named["texts"]]) for path in (old, new)]
    began, used = time.perf_counter(), time.process_time()
    reference, current = (Dataset.from_pandas(frame, data_definition=definition) for frame in frames)
    Report([DataDriftPreset()]).run(current, reference)
    print(json.dumps([time.perf_counter() - began, time.process_time() - used]), flush=True)
    sys.stdin.read()  # meanwhile the memory of this process is read


if __name__ == "__main__":
    main(*sys.argv[1:])
