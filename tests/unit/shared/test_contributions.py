"""Contributions in the price's unit."""

import math

import pytest

from veleta.contributions import price_contributions


@pytest.mark.parametrize("shap_values", [[0.5, -0.2, 0.0], [0.0, 0.0], [0.3, -0.3], [1e-18, 0.0], [-3.0]])
def test_base_price_and_contributions_add_up_to_the_price(shap_values: list[float]) -> None:
    """Whatever the sum of the SHAP values. Each contribution has the sign of its SHAP value."""
    base, contributions = price_contributions(200_000.0, shap_values)
    assert base == pytest.approx(200_000.0 * math.exp(-sum(shap_values)))
    assert base + sum(contributions) == pytest.approx(200_000.0)
    assert [math.copysign(1, c) for c in contributions] == [math.copysign(1, v) for v in shap_values]
