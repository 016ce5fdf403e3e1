"""Retention: deletes what is beyond the limits.

Reads: PIPELINE.purges, sweeps, limits, marks, trainings and promotions; of the tables of requests their ids, their
clients' ids for them and their times; manifests from `batches`.
Writes: PIPELINE.sweeps, and PIPELINE.purges (`python -m veleta_retention.purge ID`). Deletes:
- rows of RAW_DATA.new_<dataset> and RAW_DATA.refused_<dataset> that are older than KEEP_REQUESTS_DAYS, or were purged,
  even if they reach MySQL after the purge; purges that are older than KEEP_REQUESTS_DAYS
- the rows of batches beyond KEEP_EPOCHS and KEEP_BATCHES_DAYS: in RAW_DATA.<dataset>, CLEAN_DATA.<dataset> and `rows`
- the artifacts of rejected and replaced versions beyond KEEP_VERSIONS.
Guarantees: nothing else is deleted, and no other service's user may delete a request. Rows that a service still needs
are not deleted, and none expire by a clock that jumped ahead. A statement deletes few rows, so that it does not block
inserts.
"""
