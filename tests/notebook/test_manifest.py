"""What is remembered of a cell run: it survives being written down."""

from __future__ import annotations

import msgspec

from nbray.notebook.manifest import RUNNING, Manifest, Piece, Stages


def test_it_is_written_and_read() -> None:
    piece = Piece("x", "int", size=9, hash="abc")
    manifest = Manifest(
        cell_run="c", number=4, notebook="a.ipynb", began=1.5, how="remote", stages=Stages(ship=0.25, run=2.0), inputs=(piece,)
    )
    text = msgspec.json.encode(manifest)
    assert msgspec.json.decode(text, type=Manifest) == manifest
    assert b"outputs" not in text  # what there is not takes no room
    assert (manifest.label, manifest.outcome, manifest.stages.total) == ("[4]", RUNNING, 2.25)
