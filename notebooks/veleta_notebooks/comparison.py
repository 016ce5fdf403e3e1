"""Compares two versions of the model: which features gained and which lost influence."""

import pandas as pd


def compare(old: pd.DataFrame, new: pd.DataFrame) -> pd.DataFrame:
    """The rank and the share of influence of each feature in two versions; the largest gain first.

    `old` and `new` are tables of `veleta.explanation.influence`. A share is a part of the influence of all features,
    0 to 1. `change` is the new share minus the old one. A feature that a version does not have has no rank there.
    """
    both = _shares(old).merge(_shares(new), on="feature", how="outer", suffixes=("_old", "_new"))
    both["title"] = both.pop("title_new").fillna(both.pop("title_old"))
    both["change"] = both["share_new"].fillna(0) - both["share_old"].fillna(0)
    columns = ["feature", "title", "rank_old", "rank_new", "share_old", "share_new", "change"]
    return both.sort_values("change", ascending=False, ignore_index=True)[columns]


def summary(compared: pd.DataFrame, old: str, new: str) -> str:
    """The comparison in sentences. `old` and `new` are the names of the versions."""
    first_old, first_new = (_strongest(compared, version) for version in ("old", "new"))
    sentences = [f"Strongest feature: {first_old} in {old}, {first_new} in {new}."]
    gained, lost = compared[compared["change"] > 0], compared[compared["change"] < 0][::-1]
    for verb, rows in (("Gained", gained), ("Lost", lost)):
        if len(rows):
            sentences.append(f"{verb} influence: {', '.join(_change(row) for _, row in rows.head(3).iterrows())}.")
    if gained.empty and lost.empty:
        sentences.append("No feature gained or lost influence.")
    return " ".join(sentences)


def _shares(table: pd.DataFrame) -> pd.DataFrame:
    table = table.sort_values("mean_effect", ascending=False)
    total = table["mean_effect"].sum()
    share = table["mean_effect"] / total if total else table["mean_effect"]
    ranks = range(1, len(table) + 1)
    return pd.DataFrame({"feature": table["feature"], "title": table["title"], "rank": ranks, "share": share})


def _strongest(compared: pd.DataFrame, version: str) -> str:
    first = compared[compared[f"rank_{version}"] == 1].iloc[0]
    return f"{first['title']} ({first[f'share_{version}']:.0%} of all influence)"


def _change(row: "pd.Series[float]") -> str:
    old, new = (_rank(row, version) for version in ("old", "new"))
    return f"{row['title']} ({old} to {new})"


def _rank(row: "pd.Series[float]", version: str) -> str:
    rank, share = row[f"rank_{version}"], row[f"share_{version}"]
    return "not used" if pd.isna(rank) else f"rank {rank:.0f} with {share:.1%}"
