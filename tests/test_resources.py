"""Amounts are exact, sizes are read as people write them, and what is neither is quoted back."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nbray import resources
from nbray.errors import UsageError


def test_tenths_add_up() -> None:
    available = {"CPU": resources.to_units(1, "num_cpus")}
    for _ in range(10):
        resources.take({"CPU": resources.to_units(0.1, "num_cpus")}, available)
    assert available == {"CPU": 0}


@pytest.mark.parametrize("value", [-1, math.nan, math.inf, "2", None, True])
def test_what_is_no_amount_is_quoted(value: float) -> None:
    with pytest.raises(UsageError, match=r"num_cpus=.*expected a number >= 0, for example num_cpus=1"):
        resources.to_units(value, "num_cpus")


def test_an_amount_finer_than_the_finest_is_refused() -> None:
    with pytest.raises(UsageError, match=r"num_cpus=1e-05 is too small: the finest amount is 0.0001"):
        resources.to_units(0.00001, "num_cpus")


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("0", 0), ("2GB", 2 * 10**9), ("2 GiB", 2 * 2**30), ("1.5k", 1500), ("7b", 7), (" 3MB ", 3 * 10**6),
        (4096, 4096), (1e3, 1000),
    ],
)  # fmt: skip
def test_sizes_are_read_as_people_write_them(text: float | str, size: int) -> None:
    assert resources.to_bytes(text, "memory") == size


@pytest.mark.parametrize("text", ["", "GB", "-1GB", "2 gigabytes", "1e9", -1, math.inf, math.nan, True])
def test_what_is_no_size_is_quoted(text: float | str) -> None:
    with pytest.raises(UsageError, match=r"memory=.*expected a size, for example memory=\"2GB\""):
        resources.to_bytes(text, "memory")


def test_a_request_leaves_out_what_is_zero_and_has_one_cpu_by_default() -> None:
    assert resources.request() == {"CPU": 10_000}
    assert resources.request(num_cpus=0, num_gpus=0.5, resources={"disk": 0}) == {"GPU": 5_000}


@pytest.mark.parametrize(("name", "option"), [("CPU", "num_cpus"), ("GPU", "num_gpus"), ("memory", "memory")])
def test_the_three_with_an_option_of_their_own_are_refused_elsewhere(name: str, option: str) -> None:
    with pytest.raises(UsageError, match=rf"'{name}' goes in {option}="):
        resources.request(resources={name: 1})


def test_what_can_never_be_met_is_listed() -> None:
    needed = resources.request(num_cpus=8, resources={"disk": 2, "net": 1})
    total = {"CPU": 20_000, "net": 10_000}
    assert resources.shortfall(needed, total) == "CPU: 8 asked, 2 in the cluster; disk: 2 asked, 0 in the cluster"
    assert resources.shortfall({"net": 10_000}, total) == ""


amounts = st.dictionaries(st.sampled_from("abc"), st.integers(0, 10**6))


@given(amounts, amounts)
def test_what_was_taken_can_be_given_back(needed: dict[str, int], total: dict[str, int]) -> None:
    available = dict(total)
    resources.take(needed, available)
    assert resources.fits(needed, total) == all(amount >= 0 for amount in available.values())
    resources.give(needed, available)
    assert {name: amount for name, amount in available.items() if amount} == {name: n for name, n in total.items() if n}


def test_unknown_resources_are_named_with_what_may_be_meant() -> None:
    total = {"CPU": 10_000, "licence": 10_000}
    assert resources.nearest_known({"CPU": 1}, total) == ""
    assert "did you mean 'licence'?" in resources.nearest_known({"license": 1}, total)
    assert "it has CPU, licence." in resources.nearest_known({"tpu": 1}, total)
    assert "it has CPU, licence." in resources.nearest_known({"GPU": 1}, total)
