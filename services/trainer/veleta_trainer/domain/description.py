"""Says why a version exists, and what became of it."""

from veleta_trainer.domain.training import CHAMPION_DECISIONS, PromotionRow, Training

MAX_CHARACTERS = 2_000
"""Of a description: a reason may be longer."""


def description(training: Training, decision: PromotionRow | None = None) -> str:
    """The description of a version and of its run in MLflow. `decision` is the last one on the version."""
    request, batches = training.request, training.recipe.batches
    count = "1 batch" if len(batches) == 1 else f"{len(batches)} batches"
    named = " to ".join(dict.fromkeys((batches[0].batch, batches[-1].batch)))
    sentences = [
        f"Requested because of {', '.join(request.batches)}: {request.reason}.",
        f"Learnt from {count} ({sum(batch.rows for batch in batches):,} rows as received): {named}.",
    ]
    if decision:
        sentences.append(f"Decision {decision.seq}: {decision.description}.")
        if decision.previous and decision.decision in CHAMPION_DECISIONS:
            sentences.append(f"It replaced version {decision.previous}.")
    return " ".join(sentences)[:MAX_CHARACTERS]
