"""The source text of notebook cells, carried along so that remote tracebacks show the cell's lines.

IPython keeps the text of a cell in `linecache` under a file name that exists nowhere, with the modification time None.
Code from files needs nothing: the worker reads the same files.
"""

from __future__ import annotations

import linecache
import re
import sys

_FRAME = re.compile(r'File "([^"\n]+)", line (?=\d)')


def of_file(filename: str) -> str:
    """The text of a cell by its file name; empty for a real file and for a name that is not known."""
    entry = linecache.cache.get(filename)
    if entry is None or len(entry) != 4 or entry[1] is not None:
        return ""
    return "".join(entry[2])


def install(filename: str, text: str) -> None:
    """Make a cell's text known here; it outlives `linecache.checkcache`."""
    linecache.cache[filename] = (len(text), None, text.splitlines(keepends=True), filename)


def with_cell_labels(traceback: str) -> str:
    """A traceback with "Cell In[5], line 2" in place of the file names of this kernel's cells."""
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython is not None else None
    if shell is None:
        return traceback

    def label(match: re.Match[str]) -> str:
        name = shell.compile.format_code_name(match[1])
        return match[0] if name is None else f"{name[0]} {name[1]}, line "

    return _FRAME.sub(label, traceback)
