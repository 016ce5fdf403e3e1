"""The comparison of two versions."""

import pandas as pd

from veleta_notebooks.comparison import compare, summary


def influences(**values: float) -> pd.DataFrame:
    """A table of features and their influence."""
    rows = [{"feature": name, "title": name.title(), "mean_effect": value} for name, value in values.items()]
    return pd.DataFrame(rows)


def test_ranks_and_shares() -> None:
    """A share is a part of a version's whole influence. The largest gain comes first."""
    compared = compare(influences(baths=3.0, state=1.0), influences(state=6.0, baths=2.0))
    assert compared.to_dict("records") == [
        {"feature": "state", "title": "State", "rank_old": 2, "rank_new": 1, "share_old": 0.25, "share_new": 0.75,
         "change": 0.5},
        {"feature": "baths", "title": "Baths", "rank_old": 1, "rank_new": 2, "share_old": 0.75, "share_new": 0.25,
         "change": -0.5},
    ]  # fmt: skip


def test_the_summary_names_the_strongest_features_and_the_changes() -> None:
    """It names the strongest feature of each version, the gains and the losses."""
    compared = compare(influences(baths=3.0, state=1.0, zip=1.0), influences(state=6.0, baths=3.0, zip=1.0))
    assert summary(compared, "version 1", "version 16") == (
        "Strongest feature: Baths (60% of all influence) in version 1, State (60% of all influence) in version 16. "
        "Gained influence: State (rank 2 with 20.0% to rank 1 with 60.0%). "
        "Lost influence: Baths (rank 1 with 60.0% to rank 2 with 30.0%), Zip (rank 3 with 20.0% to rank 3 with 10.0%)."
    )


def test_a_version_compared_with_itself() -> None:
    """The summary states that nothing changed."""
    same = compare(influences(baths=3.0, state=1.0), influences(baths=3.0, state=1.0))
    assert summary(same, "version 2", "version 2").endswith("No feature gained or lost influence.")


def test_a_feature_that_the_old_version_does_not_have() -> None:
    """Its old rank is `not used`."""
    compared = compare(influences(baths=1.0), influences(baths=1.0, garden=1.0))
    sentences = summary(compared, "version 1", "version 2")
    assert "Gained influence: Garden (not used to rank 2 with 50.0%)." in sentences
    assert "Lost influence: Baths (rank 1 with 100.0% to rank 1 with 50.0%)." in sentences
