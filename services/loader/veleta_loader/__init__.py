"""The loader: stores batches from the topics in MySQL.

Reads: manifests from `batches`, rows through BatchReader.
Writes: RAW_DATA.<dataset> (rows as received), CLEAN_DATA.<dataset> (clean rows), the batch table PIPELINE.batches,
PIPELINE.datasets.
Guarantees: each row is stored once. The rows of a batch, its entry in the batch table and the checkpoint are one
transaction. A batch that does not match its manifest is refused as a whole.
"""
