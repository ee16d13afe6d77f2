"""Colours of terminals in HTML."""

from __future__ import annotations

import pytest

from nbray.notebook.ansi_html import ansi_html


@pytest.mark.parametrize(
    ("text", "html"),
    [
        ("plain <b> & \"q\"", "plain &lt;b&gt; &amp; &quot;q&quot;"),
        ("\x1b[1mx\x1b[22my", '<span style="font-weight:bold">x</span>y'),
        ("\x1b[1;31mx\x1b[39my\x1b[my", '<span style="font-weight:bold;color:#d84315">x</span>'
         '<span style="font-weight:bold">y</span>y'),
        ("\x1b[38;5;28mx\x1b[0m", '<span style="color:rgb(0,135,0)">x</span>'),
        ("\x1b[38;5;9mx\x1b[0m", '<span style="color:#d84315">x</span>'),
        ("\x1b[38;5;244mx\x1b[0m", '<span style="color:rgb(128,128,128)">x</span>'),
        ("\x1b[38;2;1;2;3mx", '<span style="color:rgb(1,2,3)">x</span>'),
        ("\x1b[48;5;3mx\x1b[2K\x1b[94my", 'x<span style="color:#1976d2">y</span>'),
        ("\x1b[38mx\x1b[38;5mx", '<span style="color:inherit">x</span><span style="color:inherit">x</span>'),
    ],
)  # fmt: skip
def test_colours(text: str, html: str) -> None:
    assert ansi_html(text) == html
