"""Ray's name of the module of actors."""

from __future__ import annotations

import nbray
from nbray import actor, actors


def test_it_has_what_rays_users_import_from_it() -> None:
    assert nbray.actor is actor
    for name in actor.__all__:
        assert getattr(actor, name) is getattr(actors, name)
