import pytest

from nbray.resources import CPU, GPU, UNIT, Amounts
from nbray.scheduler.bundles import impossible, sum_of

ONE, TWO = {CPU: UNIT}, {CPU: 2 * UNIT}


@pytest.mark.parametrize(
    ("bundles", "strategy", "said"),
    [
        ([ONE, ONE], "STRICT_SPREAD", "wants its 2 bundles on as many machines"),
        ([{GPU: UNIT + 1}], "PACK", "more than one come only in whole numbers"),
        ([TWO, ONE], "PACK", "CPU: 3 asked, 2 in the cluster"),
        ([{GPU: 6000}] * 3, "PACK", "GPUs (0.6, 0.6, 0.6) cannot be cut out of 2"),
        ([{"tpu": UNIT}], "SPREAD", "tpu: 1 asked, 0 in the cluster"),
    ],
)
def test_what_can_never_be(bundles: list[Amounts], strategy: str, said: str) -> None:
    assert said in impossible(bundles, strategy, TWO | {GPU: 2 * UNIT})


def test_what_can_be() -> None:
    assert impossible([ONE, ONE], "STRICT_PACK", TWO) == ""
    assert impossible([ONE], "STRICT_SPREAD", TWO) == ""
    assert impossible([{GPU: UNIT // 2}] * 2 + [{GPU: UNIT}], "PACK", {GPU: 2 * UNIT}) == ""
    assert sum_of([]) == {}
