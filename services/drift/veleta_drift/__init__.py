"""Drift: has the market moved between two batches?

Reads: manifests from `batches`, rows through BatchReader.
Writes: drift.assessed to `drift`, retrain.requested to `retrain`; PIPELINE.drift_reports, drift_metrics and
batch_comparison.
Promises: one verdict per batch (drift, no drift or not enough data), and the seed's rule gives the same one each time.
A verdict once given stays.
"""
