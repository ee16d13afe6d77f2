"""What `nbray.init` shows: a cluster in one line, and as a small table in a notebook."""

from __future__ import annotations

import html

import msgspec

from nbray.resources import from_units
from nbray.snapshot import ClusterSnapshot
from nbray.wording import plain_html


class ClusterInfo(msgspec.Struct, frozen=True, kw_only=True):
    """A cluster at the moment when `init` returned it; sizes in bytes."""

    backend: str
    epoch: str
    workers: int
    resources: dict[str, float]
    store_limit: int

    @classmethod
    def of(cls, backend: str, snapshot: ClusterSnapshot) -> ClusterInfo:
        """The facts of a snapshot that a user wants to read first."""
        return cls(
            backend=backend,
            epoch=snapshot.epoch,
            workers=len(snapshot.workers),
            resources=from_units(snapshot.resources),
            store_limit=snapshot.store.limit,
        )

    def rows(self) -> list[tuple[str, str]]:
        """Label and text of each fact."""
        amounts = {name: amount for name, amount in self.resources.items() if name != "memory"}
        return [
            ("cluster", f"{self.backend} {self.epoch}"),
            ("workers", f"{self.workers}"),
            ("resources", ", ".join(f"{amount:g} {name}" for name, amount in amounts.items())),
            ("store", format_bytes(self.store_limit)),
        ]

    def __repr__(self) -> str:
        return "nbray: " + ", ".join(f"{label} {text}" for label, text in self.rows())

    def _repr_html_(self) -> str:
        lines = "".join(
            f'<tr><th style="text-align:left">{html.escape(label)}</th><td style="text-align:left">{html.escape(text)}</td></tr>'
            for label, text in self.rows()
        )
        return plain_html(f"<table><tbody>{lines}</tbody></table>")


def format_bytes(size: float) -> str:
    """A size as people read it.

    >>> format_bytes(999), format_bytes(1_500_000), format_bytes(25e9)
    ('999 B', '1.5 MB', '25 GB')
    """
    for unit in ("B", "kB", "MB", "GB"):
        if size < 999.5:
            return f"{size:.3g} {unit}"
        size /= 1000
    return f"{size:.3g} TB"
