"""The champion that is read once is the one that inference would serve, at the same levels."""

from datetime import date
from pathlib import Path

import pytest

from support.market_levels import MARKET
from support.swaps import NOW, Swaps, load
from veleta.dataset import Dataset
from veleta.errors import Reject, Stop
from veleta.intervals import AdjustedLevel
from veleta.ports import CHAMPION, INTERVAL_LEVEL
from veleta_inference.champion import ChampionReader
from veleta_inference.domain.promotions import LoadedModel
from veleta_inference.domain.row_scorer import ModelSnapshot


def read(swaps: Swaps, dataset: Dataset = MARKET) -> LoadedModel:
    return ChampionReader(dataset, swaps.registry, swaps.log, load, lambda: NOW).read(swaps.folder / "files")


@pytest.fixture
def swaps(tmp_path: Path) -> Swaps:
    return Swaps(tmp_path, dataset=MARKET)


async def test_it_is_the_one_that_inference_serves(swaps: Swaps) -> None:
    """With the promotion's time, and its last levels of the intervals and the market. Those of others do not count."""
    other, champion = swaps.version("market"), swaps.version("market")
    swaps.promote(other, 1)
    swaps.promote(champion, 2)
    swaps.registry.set_alias(CHAMPION, champion.number)
    swaps.registry.set_tag(champion.number, INTERVAL_LEVEL, str(AdjustedLevel(1, 1, 0.81)))
    for number, level in ((2, 0.9), (1, 0.7)):
        swaps.adjust(champion, number, level)
    swaps.adjust(other, 5, 0.6)
    for seq, value in ((3, 0.07), (2, 0.05)):
        swaps.update(champion, seq, date(2014, 10, 3), value)
    swaps.update(champion, 9, date(2014, 10, 3), 30.0)  # no factor of prices
    swaps.update(other, 8, date(2014, 10, 3), 0.01)
    swaps.swapper.levels_are_read()
    await swaps.reconcile()
    found, served = read(swaps), swaps.swapper.model
    assert (found.version, found.adjusted) == (champion.number, AdjustedLevel(1, 2, 0.9))
    assert ModelSnapshot.of_model(MARKET, found, NOW) == ModelSnapshot.of_model(MARKET, served, NOW)
    assert found.price_level(None, NOW) == served.price_level(None, NOW)
    assert found.price_level("2014-06-30", NOW) == served.price_level("2014-06-30", NOW)


def test_the_alias_is_enough(swaps: Swaps) -> None:
    """If a person moved it, there may be no event yet. Without a market its topic is not read."""
    version = swaps.version("11")
    swaps.registry.set_alias(CHAMPION, version.number)
    found = read(swaps, swaps_dataset())
    assert (found.version, found.promotion.promoted_at, found.market) == (version.number, None, None)


@pytest.mark.failure("F602")
def test_without_a_champion_there_is_no_price(swaps: Swaps) -> None:
    """The message says so."""
    with pytest.raises(Stop, match="there is no champion yet"):
        read(swaps)


@pytest.mark.failure("F602")
def test_a_champion_that_inference_refuses_scores_no_row(swaps: Swaps) -> None:
    """It fails its smoke check."""
    version = swaps.version("1")
    swaps.registry.set_alias(CHAMPION, version.number)
    with pytest.raises(Reject, match="out of bounds"):
        read(swaps, swaps_dataset())


def swaps_dataset() -> Dataset:
    """The dataset without a market."""
    return MARKET.model_copy(update={"market": None})
