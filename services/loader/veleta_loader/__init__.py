"""The loader: from topics to tables.

Reads: manifests from `batches`, rows through BatchReader.
Writes: RAW_DATA.<dataset> as received, CLEAN_DATA.<dataset> cleaned, the ledger PIPELINE.batches, PIPELINE.datasets.
Promises: each row once, whatever is redelivered: a batch's rows, its line in the ledger and the mark of how far the
loader came are one transaction. A batch that does not match its manifest is refused as a whole.
"""
