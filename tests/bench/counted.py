"""Runs a service and counts the records that it reads from Kafka: `python -m bench.counted SERVICE`.

The file COUNT has the number, 8 bytes. Records that Faust reads are not counted: one for each batch.
"""

import os
import runpy
import struct
import sys
from itertools import count
from typing import Any

from veleta.adapters import kafka

if __name__ == "__main__":
    original, numbers = kafka._record, count(1)
    handle = os.open(os.environ["COUNT"], os.O_RDWR | os.O_CREAT)
    os.pwrite(handle, struct.pack("q", 0), 0)

    def counted(record: Any) -> Any:
        """Count a record."""
        os.pwrite(handle, struct.pack("q", next(numbers)), 0)
        return original(record)

    kafka._record = counted
    runpy.run_module(f"veleta_{sys.argv[1]}", run_name="__main__")
