"""Source: stands in for the course's data API, from a CSV in the Kaggle file's format, or from rows by chance.

Reads: the file SOURCE_CSV, once, at start; without one the dataset file's [generator].
Writes: SOURCE_STATE: one spool file per batch, and how far each group came.
Promises: the API's exact protocol; the same file gives the same batches, each with its rows in the file's order;
a cursor that moved stays moved, whatever happens to the process; memory does not grow with the file.
"""
