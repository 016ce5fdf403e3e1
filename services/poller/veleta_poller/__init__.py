"""Poller: takes batches from the data API and publishes them.

Reads: the data API (GET /data, /restart_data_generation); the tail of `batches`, to know where it stands.
Writes: dataset.declared, batch.opened, batch.closed (the manifest), batch.refused and batch.missed to `batches`;
batch.rows to `rows`; every answer to its inbox before anything else.
Promises: an answer that arrived whole is never lost: it is on disk before it is published, and leaves the disk after
its manifest is acknowledged. No GET of /data is repeated blindly: the next answer's number tells what was lost.
"""
