"""The trainer: from a request to a promoted model.

Reads: retrain.requested from `retrain`, manifests and rows through BatchReader.
Writes: MLflow (runs, versions, aliases), events to `training` and `models`, PIPELINE.trainings and promotions.
Promises: one training at a time; each request ends once (finished, merged, skipped or failed); one version per finished
training; the champion is replaced only by a model with a lower MAE on the same holdout.
Way in: `handlers` takes requests, `cycle` carries the waiting ones through, `fit` is the child process that learns.
"""
