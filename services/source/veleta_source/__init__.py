"""Source: replaces the course's data API. It serves the rows of a file, or generated ones.

Reads: the CSV or Parquet file SOURCE_CSV once at the start; without a file, [generator] of the dataset file.
Writes: SOURCE_STATE: one file for each batch of the epochs that are served, and the cursors of the groups.
Guarantees: it follows the API's protocol. The same file gives the same batches, each with its rows in the file's order.
Generated rows follow from the dataset file, the scale, the seed and the epoch. A row that is left out is counted with
its reasons. A cursor never moves back, except by a restart, which begins the next epoch. The use of memory does not
depend on the size of the file.
"""
