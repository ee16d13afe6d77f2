"""Hypothesis steers each target for a moment, and what was ever found to fail is tried again. Longer: `python -m tests.fuzz`."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.fuzz.campaign import CORPUS, attack, kept, random_inputs
from tests.fuzz.targets import Run, Target, all_targets

TARGETS = all_targets()
EXAMPLES = 50
INPUTS = 80
"""Of each target: together with the examples they take about half a minute."""


@pytest.fixture(scope="module", params=TARGETS.values(), ids=lambda target: target.name)
def target(request: pytest.FixtureRequest) -> Target:
    chosen = request.param
    assert isinstance(chosen, Target)
    return chosen


@pytest.fixture
def run(target: Target, tmp_path: Path) -> Iterator[Run]:
    tmp_path.chmod(0o700)
    with target.open(tmp_path) as run:
        yield run


@settings(
    max_examples=EXAMPLES, deadline=None, database=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture, HealthCheck.large_base_example],
)  # fmt: skip
@given(data=st.binary(max_size=600))
def test_any_bytes_are_read_or_refused(run: Run, data: bytes) -> None:
    assert run(data) in ("read", "refused")


def test_a_seeded_crowd_of_inputs_is_read_or_refused(target: Target) -> None:
    """Hypothesis likes what is simple; these inputs are not."""
    assert attack(target, islice(random_inputs("tests"), INPUTS)).failures == {}


def test_what_has_failed_once_does_so_no_more(target: Target) -> None:
    assert attack(target, kept(target)).failures == {}


def test_the_corpus_belongs_to_targets_and_is_small() -> None:
    folders = {path.name for path in CORPUS.iterdir()}
    assert folders <= {name.replace(" ", "_") for name in TARGETS}
    files = [path for path in CORPUS.rglob("*") if path.is_file()]
    assert files
    assert sum(path.stat().st_size for path in files) < 200_000
