"""`%nbray cache`: the table of kept results, clearing, wrong words."""

from __future__ import annotations

from pathlib import Path

import pytest

import nbray
from nbray.notebook.kept_results import cache
from nbray.result_cache import ResultCache, default_directory, new_head


@pytest.fixture
def results(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ResultCache:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    return ResultCache(default_directory())


def test_what_is_kept_is_shown_with_what_was_tracked(results: ResultCache, capsys: pytest.CaptureFixture[str]) -> None:
    results.keep("k", 1, new_head("train", 12.5, ("LIMIT",), ("numpy 2.1.0 17", "rates rates.py 0123456789abcdef")))
    rows = cache([])
    assert rows is not None
    assert (rows[0].name, rows[0].took) == ("train", "12.5 s")
    assert rows[0]["names tracked"] == ("LIMIT",)
    assert rows[0]["modules tracked"] == ["numpy 2.1.0", "rates.py 01234567"]
    said = capsys.readouterr().out
    assert "nbray: 1 kept result, " in said
    assert "Not tracked: files, time" in said


def test_clear(results: ResultCache, capsys: pytest.CaptureFixture[str]) -> None:
    for key, name in (("a", "train"), ("b", "cell [3]"), ("c", "score")):
        results.keep(key, key, new_head(name, 1.0, (), ()))
    cache(["clear", "cell", "[3]"])
    cache(["clear"])
    assert capsys.readouterr().out == "nbray: 1 kept result deleted.\nnbray: 2 kept results deleted.\n"
    assert cache([]) is None
    assert "no result is kept" in capsys.readouterr().out


@pytest.mark.usefixtures("results")
@pytest.mark.parametrize(("words", "message"), [(["clear", "trian"], "no result of that name"), (["size"], "expected nothing")])
def test_wrong_words(words: list[str], message: str) -> None:
    with pytest.raises(nbray.UsageError, match=message):
        cache(words)
