"""The trainer: from a training request to a promoted model.

Reads: retrain.requested from `retrain`, manifests and rows with BatchReader.
Writes: MLflow (runs, versions, aliases), events to `training` and `models`, PIPELINE.trainings and promotions.
Guarantees: one training at a time. Each request ends once: finished, merged, skipped or failed. One version for each
finished training. Only a model with a lower MAE on the same holdout replaces the champion.
Start reading: `domain.training` has the states, `handlers` stores requests, `training_workflow` advances them, `fit` is
the child process that fits a model.
"""
