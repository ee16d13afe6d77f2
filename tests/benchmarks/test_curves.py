"""The recorded curves are what their recorder would record."""

from __future__ import annotations

import pytest

from tests.benchmarks import curves


def test_the_table_holds_a_curve_of_every_configuration() -> None:
    table = curves.digits()
    assert len(table.configs) == len(table.accuracy) == len(table.seconds) == curves.CONFIGURATIONS
    assert {len(curve) for curve in table.accuracy} == {curves.EPOCHS}
    assert all(0 <= value <= 1 for curve in table.accuracy for value in curve)
    assert min(table.seconds) > 0
    assert len(table.number_of) == curves.CONFIGURATIONS, "no two configurations are the same"


def test_a_configuration_is_found_again_in_whatever_order_its_names_come() -> None:
    table = curves.digits()
    turned = dict(reversed(table.configs[7].items()))
    assert table.of(turned) == (table.accuracy[7], table.seconds[7])


@pytest.mark.slow
def test_recording_again_gives_the_same_curve() -> None:
    """Other versions of numpy round otherwise, so the curves agree within some pictures only."""
    table = curves.digits()
    right, seconds, pictures = curves.record(table.configs[3], 3)
    assert right[-1] / pictures == pytest.approx(table.accuracy[3][-1], abs=0.03)
    assert seconds > 0
