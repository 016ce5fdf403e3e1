"""Two versions compared: which features rose, which fell, in numbers and in words made from them."""

from collections.abc import Sequence

import pandas as pd


def compare(old: pd.DataFrame, new: pd.DataFrame) -> pd.DataFrame:
    """Places and shares of each feature's influence in two versions; the greatest rise first.

    `old` and `new` are tables of `veleta.explanation.influence`. A share is of the influence of all features, 0 to 1;
    `moved` is how much it grew.
    """
    both = _shares(old).merge(_shares(new), on="feature", how="outer", suffixes=("_old", "_new"))
    both["title"] = both.pop("title_new").fillna(both.pop("title_old"))
    both["moved"] = both["share_new"].fillna(0) - both["share_old"].fillna(0)
    return both.sort_values("moved", ascending=False, ignore_index=True)[
        ["feature", "title", "place_old", "place_new", "share_old", "share_new", "moved"]
    ]


def words(compared: pd.DataFrame, old: str, new: str) -> str:
    """The comparison in sentences; `old` and `new` are what the versions are called."""
    led, leads = (_leader(compared, f"place_{which}", f"share_{which}") for which in ("old", "new"))
    sentences = [f"{old.capitalize()} was led by {led}, {new} is led by {leads}."]
    for what, moved in (("rose", compared[compared["moved"] > 0]), ("fell", compared[compared["moved"] < 0][::-1])):
        if len(moved):
            sentences.append(f"{_list([_change(row) for _, row in moved.head(3).iterrows()])} {what}.")
    if not (compared["moved"] != 0).any():
        sentences.append("No feature rose or fell.")
    return " ".join(sentences)


def _shares(table: pd.DataFrame) -> pd.DataFrame:
    table = table.sort_values("mean_abs_shap", ascending=False)
    whole = table["mean_abs_shap"].sum()
    share = table["mean_abs_shap"] / whole if whole else table["mean_abs_shap"]
    places = range(1, len(table) + 1)
    return pd.DataFrame({"feature": table["feature"], "title": table["title"], "place": places, "share": share})


def _leader(compared: pd.DataFrame, place: str, share: str) -> str:
    first = compared[compared[place] == 1].iloc[0]
    return f"{first['title']} ({first[share]:.0%} of all influence)"


def _change(row: "pd.Series[float]") -> str:
    old, new = (_at(row, which) for which in ("old", "new"))
    return f"{row['title']} ({old} to {new})"


def _at(row: "pd.Series[float]", which: str) -> str:
    place, share = row[f"place_{which}"], row[f"share_{which}"]
    return "not known" if pd.isna(place) else f"place {place:.0f} with {share:.1%}"


def _list(texts: Sequence[str]) -> str:
    return texts[0] if len(texts) == 1 else f"{', '.join(texts[:-1])} and {texts[-1]}"
