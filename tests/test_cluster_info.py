"""How a cluster and sizes are shown."""

from __future__ import annotations

import pytest

from nbray.cluster_info import ClusterInfo, format_bytes


def test_html_is_escaped() -> None:
    info = ClusterInfo(backend="local", epoch="<b>", workers=1, resources={"CPU": 1.0, "<x>": 0.5}, store_limit=10)
    assert "&lt;b&gt;" in info._repr_html_()
    assert "0.5 &lt;x&gt;" in info._repr_html_()
    assert "<x>" not in info._repr_html_()


@pytest.mark.parametrize(
    ("size", "text"), [(0, "0 B"), (999, "999 B"), (999.6, "1 kB"), (123_456, "123 kB"), (5e12, "5 TB"), (4e15, "4e+03 TB")]
)
def test_sizes(size: float, text: str) -> None:
    assert format_bytes(size) == text
