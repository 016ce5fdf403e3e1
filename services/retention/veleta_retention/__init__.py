"""Retention: deletes stored requests.

Reads: PIPELINE.purges; of the tables of requests their ids, their clients' ids for them and their times.
Writes: PIPELINE.purges (`python -m veleta_retention.purge ID`). Deletes: rows of RAW_DATA.new_<dataset> and
RAW_DATA.refused_<dataset> that are older than KEEP_REQUESTS_DAYS, or were purged, even if they reach MySQL after the
purge; purges that are older than KEEP_REQUESTS_DAYS.
Guarantees: nothing else is deleted, and no other service's user may delete a request. A statement deletes few rows, so
that it does not block inserts.
"""
