"""Owns what a job is called: the key under which a kernel finds its cluster again, and the notebook's name for labels."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import PurePath
from typing import Any

SESSION_NAME = "JPY_SESSION_NAME"
"""Set by Jupyter's server in a kernel's environment: the path of its notebook."""
VSCODE_FILE = "__vsc_ipynb_file__"
"""Set by VS Code in a kernel's namespace: the path of its notebook."""


def job_key(
    connection_file: str, environ: Mapping[str, str], namespace: Mapping[str, Any], script: str, pid: int
) -> str:
    """The job of this process: its kernel, else its notebook, else this one run of a script.

    The name of the connection file holds the kernel's id, which stays the same when the kernel restarts.

    >>> job_key("/run/user/1000/jupyter/kernel-8f1d.json", {}, {}, "", 7)
    'kernel-8f1d'
    >>> job_key("", {"JPY_SESSION_NAME": "/home/me/a.ipynb"}, {}, "", 7)
    'notebook-/home/me/a.ipynb'
    >>> job_key("", {}, {}, "/home/me/train.py", 7)
    'script-train.py-7'
    """
    if connection_file:
        return PurePath(connection_file).stem
    notebook = notebook_path(environ, namespace)
    if notebook:
        return f"notebook-{notebook}"
    return f"script-{PurePath(script).name or 'python'}-{pid}"


def notebook_path(environ: Mapping[str, str], namespace: Mapping[str, Any]) -> str:
    """The path of the notebook, as far as the frontend tells it; else ""."""
    told = environ.get(SESSION_NAME) or namespace.get(VSCODE_FILE) or ""
    return told if isinstance(told, str) else ""


def cell_label(number: int, notebook: str) -> str:
    """How a cell run is named to other notebooks.

    >>> cell_label(4, "/home/me/train.ipynb"), cell_label(4, "")
    ('cell [4] of train.ipynb', 'cell [4]')
    """
    name = PurePath(notebook).name
    return f"cell [{number}] of {name}" if name else f"cell [{number}]"
