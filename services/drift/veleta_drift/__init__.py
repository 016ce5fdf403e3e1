"""Drift: compares each batch with those before it.

Reads: manifests from `batches`, rows through BatchReader, the baseline in its last report.
Writes: drift.assessed, retrain.judged and rollback.proposed to `drift`, retrain.requested to `retrain`;
PIPELINE.drift_reports with its parts, retrain_verdicts and batch_comparison.
Guarantees: each batch gets one verdict (drift, no drift or not enough data). The same batches and versions give
the same verdict, and a verdict never changes. `replay` computes the verdicts again.
"""
