"""Drift: compares each batch with those before it, and keeps the level of the market.

Reads: manifests from `batches`, rows through BatchReader, the baseline in its last report; with a market also
`commands`, and promotions from `models`.
Writes: drift.assessed, retrain.judged and rollback.proposed to `drift`, retrain.requested to `retrain`, level.updated
to `levels`; PIPELINE.drift_reports with its parts, retrain_verdicts, batch_comparison and market_levels.
Guarantees: each batch gets one verdict (drift, no drift or not enough data). The same batches and versions give
the same verdict, and a verdict never changes. `replay` computes the verdicts again. Each batch and each command updates
the level of the champion once.
"""
