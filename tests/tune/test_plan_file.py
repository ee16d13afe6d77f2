"""The plan on the disk."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from nbray import tune
from nbray.errors import UsageError
from nbray.tune import plan_file
from tests.tune.plans import make_plan
from tests.tune.test_trainables import train, with_data


def test_it_comes_back_where_it_lies_now(tmp_path: Path) -> None:
    plan = make_plan(train, tmp_path / "e", {"x": tune.uniform(0, 1)}, num_samples=3)
    plan_file.write(plan)
    (tmp_path / "e").rename(tmp_path / "moved")
    read = plan_file.read(tmp_path / "moved")
    assert (read.name, read.path, read.trainable, read.tune.num_samples) == ("e", str(tmp_path / "moved"), train, 3)
    assert repr(read.param_space) == repr(plan.param_space)


def test_large_constants_are_not_kept(tmp_path: Path) -> None:
    plan_file.write(make_plan(tune.with_parameters(with_data, data=list(range(100_000))), tmp_path / "e"))
    assert plan_file.read(tmp_path / "e").trainable is None
    assert (tmp_path / "e" / plan_file.NAME).stat().st_size < 20_000


SCRIPT = """
from pathlib import Path
import sys
from nbray.tune import plan_file, sample_from
from tests.tune.plans import make_plan
def double(config):
    return config["x"] * 2
class Big:
    pass
plan_file.write(make_plan(double, Path(sys.argv[1]), {"x": sample_from(lambda config: 21), "big": Big()}))
"""


def test_what_a_notebook_has_defined_is_kept_by_value(tmp_path: Path) -> None:
    subprocess.run([sys.executable, "-c", SCRIPT, str(tmp_path / "e")], env={**os.environ, "PYTHONPATH": "."}, check=True)
    read = plan_file.read(tmp_path / "e")
    assert read.trainable({"x": 21}) == 42
    assert type(read.param_space["big"]).__name__ == "Big"


def test_what_is_no_experiment(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"holds no experiment \(experiment\.pkl: No such file"):
        plan_file.read(tmp_path)
    (tmp_path / plan_file.NAME).write_bytes(b"rubbish")
    with pytest.raises(UsageError, match=r"the plan in .* is damaged: it is cut off\. The results are in the journal beside it"):
        plan_file.read(tmp_path)


def test_a_directory_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(UsageError, match=r"cannot be written \(Not a directory\): give another folder as storage_path="):
        plan_file.write(make_plan(train, tmp_path / "file" / "e"))
