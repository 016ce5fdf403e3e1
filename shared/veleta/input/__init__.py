"""Reads the rows of an input file, CSV or Parquet, and names what is wrong with it.

Start reading: `input_rows` reads a file, `header` finds the columns, and `batch_assignment` decides which rows are
complete.
"""
