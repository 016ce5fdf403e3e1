"""Proposes a dataset file for an input file: what each column is, by its cells.

Start reading: `cells` reads the file with the readers of a start, `columns` decides what each column is, `rules` what
follows for the whole file, and `dataset_text` writes it with the reasons.
"""
