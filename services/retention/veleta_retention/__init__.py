"""Retention: how long requests are kept.

Reads: PIPELINE.purges; of the tables of requests their ids, their clients' names for them and their times.
Writes: nothing. Deletes: from RAW_DATA.new_<dataset> and RAW_DATA.refused_<dataset> what is older than
KEEP_REQUESTS_DAYS, and what was purged (`python -m veleta_retention.purge ID`), also when it comes out of a journal
later; from PIPELINE.purges what has become too old to matter.
Promises: nothing else is deleted, and no other service's user may delete a request; few rows at a time, so that those
who write do not wait.
"""
