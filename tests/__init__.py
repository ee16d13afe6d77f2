"""The tests; a package so that `tests.fakes` and `python -m tests.benchmarks` are found here, not elsewhere."""
