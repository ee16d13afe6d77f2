"""The names of nbray.util: all there, none imported before it is used."""

from __future__ import annotations

import subprocess
import sys

import pytest

import nbray
from nbray import util


def test_every_name_is_there_and_says_what_it_is() -> None:
    assert [name for name in util.__all__ if not getattr(util, name).__doc__] == []
    assert set(util.__all__) <= set(dir(util))
    assert nbray.util is util
    with pytest.raises(AttributeError, match=r"module 'nbray\.util' has no attribute 'Pool'"):
        util.Pool  # noqa: B018


def test_importing_it_imports_nothing_else() -> None:
    code = "import sys, typing, nbray.util; print(sorted(name for name in sys.modules if name.startswith('nbray')))"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout == "['nbray', 'nbray.import_hooks', 'nbray.lazy_names', 'nbray.util']\n"
