"""CatBoost's parameters of the model of prices. The trainer puts them into recipes, without importing CatBoost."""


def catboost_params(trees: int, depth: int, seed: int) -> dict[str, str | int | float]:
    """CatBoost's parameters. The learning rate is CatBoost's own, which depends on the number of rows and trees.

    `rsm` is the share of the features that each split looks at. `max_ctr_complexity` is set because its default depends
    on the number of trees. Decision 53 has the search.
    """
    return {
        "loss_function": "RMSE",
        "iterations": trees,
        "depth": depth,
        "random_seed": seed,
        "rsm": 0.3,
        "max_ctr_complexity": 1,
    }
