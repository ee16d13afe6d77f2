"""Ray's names of errors mean nbray's errors."""

from __future__ import annotations

import inspect
from pathlib import Path

import pytest

import nbray
from nbray import errors, exceptions
from tests.fakes import fake_session


def test_the_module_has_nbrays_own_names_too() -> None:
    assert nbray.exceptions is exceptions
    assert {name for name in dir(errors) if name.endswith("Error")} <= set(dir(exceptions))


def test_every_name_means_an_error() -> None:
    public = {name: value for name, value in vars(exceptions).items() if inspect.isclass(value) and not name.startswith("_")}
    assert all(issubclass(value, errors.NbrayError) for value in public.values())
    assert exceptions.RayError is nbray.NbrayError
    assert exceptions.RayTaskError is nbray.RemoteError
    assert issubclass(exceptions.GetTimeoutError, TimeoutError)


def test_a_task_s_error_is_caught_by_either_name() -> None:
    with fake_session():
        ref = nbray.remote(lambda text: int(text)).remote("seven")
        for kind in (ValueError, nbray.exceptions.RayTaskError, nbray.exceptions.RayError):
            with pytest.raises(kind, match="invalid literal"):
                nbray.get(ref)


def test_import_as_rays_users_write_it(tmp_path: Path) -> None:
    namespace: dict[str, object] = {}
    exec("import nbray as ray\nfrom nbray.exceptions import RayTaskError\nfound = ray.exceptions.RayTaskError", namespace)
    assert namespace["found"] is namespace["RayTaskError"] is errors.RemoteError
