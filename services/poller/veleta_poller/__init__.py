"""Poller: fetches batches from the data API and publishes them.

Reads: the data API (GET /data, /restart_data_generation); `batches`, to find its position; `commands`.
Writes: dataset.declared, batch.opened, batch.closed (the manifest), batch.refused and batch.missed to `batches`;
batch.rows to `rows`; command.accepted and command.refused to `commands`; every response to its inbox first.
Guarantees: a complete response is never lost. It is on disk before it is published, and is deleted after Kafka
acknowledged its manifest. No GET of /data is repeated blindly: the number of the next batch shows what was lost.
"""
