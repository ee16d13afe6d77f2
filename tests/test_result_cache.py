"""The cache on disk: what comes back, what is refused, what goes when it is full."""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import nbray
from nbray.result_cache import ResultCache, default_directory, new_head
from tests.fakes import fake_session
from tests.fuzz.cost import memory_of

HEAD = new_head("train", 1.5, ("LIMIT",), ("numpy 2",))


@pytest.fixture
def cache(tmp_path: Path) -> ResultCache:
    return ResultCache(tmp_path / "results")


def keep(cache: ResultCache, key: str, value: Any, name: str = "train") -> None:
    assert cache.keep(key, value, new_head(name, 1.5, (), ())) == ""


def test_a_kept_value_comes_back_with_what_is_known_of_it(cache: ResultCache) -> None:
    value = {"loss": 0.25, "weights": np.arange(100_000.0)}
    assert cache.keep("k1", value, HEAD) == ""
    kept = cache.find("k1")
    assert kept is not None
    np.testing.assert_array_equal(kept.value["weights"], value["weights"])
    assert (kept.head.key, kept.head.name, kept.head.took, kept.head.names) == ("k1", "train", 1.5, ("LIMIT",))
    assert cache.find("k2") is None
    assert not kept.value["weights"].flags.writeable


def test_none_is_a_value(cache: ResultCache) -> None:
    keep(cache, "k", None)
    kept = cache.find("k")
    assert kept is not None
    assert kept.value is None


def test_files_and_their_folder_are_private(cache: ResultCache) -> None:
    keep(cache, "k", 1)
    [path] = cache.directory.iterdir()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(cache.directory.stat().st_mode) == 0o700


@pytest.mark.parametrize("place", [0, 5, -1])
def test_damage_is_noticed(cache: ResultCache, place: int) -> None:
    keep(cache, "k", np.arange(1000))
    [path] = cache.directory.iterdir()
    data = bytearray(path.read_bytes())
    data[place] ^= 255
    path.write_bytes(data)
    assert cache.find("k") is None


@pytest.mark.parametrize("length", [0, 3, 20, 300])
def test_a_torn_file_counts_as_none(cache: ResultCache, length: int) -> None:
    keep(cache, "k", np.arange(1000))
    [path] = cache.directory.iterdir()
    path.write_bytes(path.read_bytes()[:length])
    assert cache.find("k") is None
    cache.heads()


def test_a_file_under_another_name_counts_as_none(cache: ResultCache) -> None:
    keep(cache, "k", 1)
    (cache.directory / "k.result").rename(cache.directory / "other.result")
    assert cache.find("other") is None


def test_what_would_be_worth_nothing_later_is_refused(cache: ResultCache) -> None:
    class Own:
        pass

    with fake_session():
        assert "holds an ObjectRef" in cache.keep("k", [nbray.put(1)], HEAD)
    assert "defined in a notebook" in cache.keep("k", Own(), HEAD)
    assert cache.heads() == []


def test_the_least_recently_used_go_when_it_is_full(tmp_path: Path) -> None:
    cache = ResultCache(tmp_path, limit=4500)
    for number in range(4):
        keep(cache, f"k{number}", bytes(800))
        os.utime(tmp_path / f"k{number}.result", ns=(number, number))
    assert cache.find("k0") is not None  # used now
    keep(cache, "k4", bytes(800))
    assert {head.key for head in cache.heads()} == {"k0", "k2", "k3", "k4"}
    assert cache.size() <= 4500
    assert "more than half" in cache.keep("large", bytes(3000), HEAD)


def test_a_disk_that_refuses_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    assert "cannot be written" in ResultCache(tmp_path / "file" / "results").keep("k", 1, HEAD)


def test_all_or_those_of_one_name_are_cleared(cache: ResultCache) -> None:
    for key, name in (("a", "train"), ("b", "train"), ("c", "score")):
        keep(cache, key, key, name)
    assert cache.clear("train") == 2
    assert [head.name for head in cache.heads()] == ["score"]
    assert (cache.clear(), cache.clear()) == (1, 0)


def test_the_directory_is_the_users_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.platform", "linux")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert default_directory() == tmp_path / "nbray" / "results"
    default_directory().mkdir(parents=True)
    monkeypatch.setattr(os, "getuid", lambda: -5)
    with pytest.raises(nbray.UsageError, match="belongs to somebody else, and reading what others keep there would run"):
        default_directory()


def test_a_damaged_head_that_claims_to_be_huge_takes_no_memory(cache: ResultCache) -> None:
    keep(cache, "k", 1)
    [path] = cache.directory.iterdir()
    path.write_bytes(b"nbc1" + b"\xff\xff\xff\xff" + path.read_bytes()[8:])
    assert memory_of(cache.heads) < 1 << 20
    assert cache.heads() == []
    assert cache.find("k") is None
