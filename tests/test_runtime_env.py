import os
import sys
from pathlib import Path
from typing import Any

import pytest

from nbray.errors import NotSupportedHere, UsageError, WrongType
from nbray.runtime_env import EMPTY, Profile, RuntimeEnv, decode, profile_of


def test_what_says_the_same_is_the_same_as_bytes() -> None:
    one, other = profile_of({"env_vars": {"A": "1", "B": "2"}}), profile_of({"env_vars": {"B": "2", "A": "1"}})
    assert one.encode() == other.encode()
    assert decode(one.encode()) == one
    assert decode(b"") == EMPTY
    assert EMPTY.encode() == b""


def test_a_dict_by_names() -> None:
    assert RuntimeEnv(env_vars={"A": "1"}) == {"env_vars": {"A": "1"}}
    with pytest.raises(UsageError, match="did you mean 'env_vars'"):
        RuntimeEnv(env_var={})


def test_folders_are_taken_as_they_are(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "lib" / "tools").mkdir(parents=True)
    (tmp_path / "lib" / "alone.py").touch()
    monkeypatch.chdir(tmp_path)
    profile = profile_of({"working_dir": "lib", "py_modules": ["lib/tools", "lib/alone.py"]})
    assert profile.working_dir == str(tmp_path / "lib")
    assert profile.module_folders == (str(tmp_path / "lib"),)
    assert profile_of({"py_modules": [pytest]}).module_folders == (str(Path(pytest.__file__).parents[1]),)


def test_the_path_of_modules() -> None:
    profile = Profile((("PYTHONPATH", f"/a{os.pathsep}/b"),), "/work", ("/lib",))
    assert profile.path() == ["/work", "/lib", "/a", "/b"]


def test_variables_add_up_and_the_rest_replaces() -> None:
    inner, outer = Profile((("A", "2"),), "/inner"), Profile((("A", "1"), ("B", "1")), "/outer", ("/lib",))
    assert inner.over(outer) == Profile((("A", "2"), ("B", "1")), "/inner", ("/lib",))
    assert EMPTY.over(outer) == outer


def test_the_usual_working_directory_needs_no_workers_of_its_own() -> None:
    assert not Profile(working_dir="/here").needs_own_workers("/here")
    assert Profile(working_dir="/there").needs_own_workers("/here")
    assert Profile((("A", "1"),)).needs_own_workers("/here")
    assert not EMPTY.needs_own_workers("/here")


def test_values_may_name_variables_of_the_cluster() -> None:
    profile = profile_of({"env_vars": {"PATH": "/mine:${PATH}", "NONE": "<${NO_SUCH}>"}})
    assert profile.environ({"PATH": "/bin", "HOME": "/root"}) == {"PATH": "/mine:/bin", "HOME": "/root", "NONE": "<>"}


@pytest.mark.parametrize(
    ("wrong", "error", "said"),
    [
        ("src", WrongType, "expected a dict"),
        ({"pip": ["requests"]}, NotSupportedHere, "nbray installs nothing.*%pip install"),
        ({"conda": "env"}, NotSupportedHere, "nbray installs nothing"),
        ({"uv": ["x"]}, NotSupportedHere, "nbray installs nothing"),
        ({"container": {}}, NotSupportedHere, "plain processes of this machine"),
        ({"excludes": []}, NotSupportedHere, "nothing is copied"),
        ({"working_dirs": "x"}, UsageError, "did you mean 'working_dir'"),
        ({"working_dir": "no/such"}, UsageError, "there is no"),
        ({"working_dir": 3}, WrongType, "expected the path of a folder"),
        ({"working_dir": "s3://bucket/code.zip"}, NotSupportedHere, "expected a folder of this machine"),
        ({"working_dir": __file__}, UsageError, "is a file: expected the folder"),
        ({"py_modules": "lib"}, WrongType, "expected a list"),
        ({"py_modules": ["no/such.py"]}, UsageError, "there is no"),
        ({"py_modules": [sys]}, UsageError, "not made of a file"),
        ({"env_vars": ["A=1"]}, WrongType, "expected a dict of text"),
        ({"env_vars": {"OMP_NUM_THREADS": 4}}, WrongType, "'OMP_NUM_THREADS': '4'"),
        ({"env_vars": {"A=B": "1"}}, UsageError, "has no '='"),
        ({"env_vars": {"NBRAY_WORKER": "1"}}, UsageError, "nbray itself sets"),
    ],
)
def test_what_is_wrong_is_named(wrong: Any, error: type[Exception], said: str) -> None:
    with pytest.raises(error, match=said):
        profile_of(wrong)
