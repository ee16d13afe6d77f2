"""The job key: kernel, then notebook, then script."""

from __future__ import annotations

from nbray.notebook.job import job_key, notebook_path


def test_the_kernel_id_goes_first() -> None:
    environ = {"JPY_SESSION_NAME": "/a.ipynb"}
    assert job_key("/r/kernel-12.json", environ, {"__vsc_ipynb_file__": "/b.ipynb"}, "x.py", 1) == "kernel-12"


def test_the_notebook_goes_second() -> None:
    assert job_key("", {"JPY_SESSION_NAME": "/a.ipynb"}, {"__vsc_ipynb_file__": "/b.ipynb"}, "x.py", 1) == "notebook-/a.ipynb"
    assert job_key("", {}, {"__vsc_ipynb_file__": "/b.ipynb"}, "x.py", 1) == "notebook-/b.ipynb"


def test_each_run_of_a_script_is_a_job() -> None:
    assert job_key("", {}, {}, "/w/x.py", 1) != job_key("", {}, {}, "/w/x.py", 2)
    assert job_key("", {}, {}, "", 3) == "script-python-3"


def test_a_user_variable_that_looks_like_vscode_is_no_path() -> None:
    assert notebook_path({}, {"__vsc_ipynb_file__": 3}) == ""
