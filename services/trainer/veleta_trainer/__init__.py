"""The trainer: from a training request to a promoted model.

Reads: retrain.requested from `retrain`, manifests and rows through BatchReader, commands of people from `commands`; its
own topics to restore its tables.
Writes: MLflow (runs, versions, aliases), events to `training` and `models`, answers to `commands`, PIPELINE.trainings,
promotions, evaluations and interval_levels.
Guarantees: one training at a time. Each request ends once: finished, merged, skipped or failed. One version for each
finished training. A model replaces the champion only if the promotion policy of the dataset file says so, if the
champion cannot be evaluated, or if a person promotes it. Each command has one effect and one answer.
Start reading: `domain.training` has the states, `handlers` stores requests, `training_workflow` advances them,
`command_handler` handles commands, `interval_adjuster` measures each batch, and `explanations` explains each version.
The child process `fit` fits a model, and `log_models` logs it.
"""
