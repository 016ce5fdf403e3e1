"""The trainer: from a training request to a promoted model.

Reads: retrain.requested from `retrain`, manifests and rows through BatchReader; its own topics to restore its tables.
Writes: MLflow (runs, versions, aliases), events to `training` and `models`, PIPELINE.trainings and promotions.
Guarantees: one training at a time. Each request ends once: finished, merged, skipped or failed. One version for each
finished training. A model replaces the champion only if its MAE on the same holdout is lower, or if
the champion cannot be evaluated.
Start reading: `domain.training` has the states, `handlers` stores requests, `training_workflow` advances them. The
child process `fit` fits a model, and `log_models` logs it.
"""
