from __future__ import annotations

import gzip

import bokeh

from nbray.widgets import bokeh_script


def test_it_is_the_script_of_the_installed_bokeh() -> None:
    assert bokeh_script.version() == bokeh.__version__
    script = gzip.decompress(bokeh_script.gzipped()).decode()
    assert bokeh.__version__ in script
    assert len(bokeh_script.gzipped()) < 600_000
