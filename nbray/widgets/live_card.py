"""Owns the widget of a live card: sections and curves go to the page, requests come back; the only file that imports anywidget.

    kernel                                          page
    LiveCard(...)          --- comm_open --->       initialize: "hello", again and again until it is taken
    on_hello()             <-- hello ---            (a frontend without widgets stays silent: it is shown HTML)
    show(sections, curves) --- what changed --->    render
    BokehJS, gzipped       <-- bokeh ---            once for a page, unless it has this version
    on_ask("stop", trial)  <-- stop ---             a button, sent again until it is taken

Nothing essential waits for an answer: a kernel that runs a cell may hear requests only when the cell has ended.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import anywidget
import traitlets

from nbray.widgets import bokeh_script
from nbray.widgets.elements import Element, as_lists
from nbray.widgets.live_figure import Content
from nbray.widgets.styles import style_sheet

_FOLDER = Path(__file__).parent
ASKS = frozenset({"stop", "pause", "resume"})
Ask = Callable[[str, str], None]
"""What is asked, and of which trial ("" for all)."""
Figure = Callable[[], str]
"""Gives the figure, as `Bokeh.embed.embed_item` takes it; called only where a page draws it."""


class LiveCard(anywidget.AnyWidget):
    """A card on the page; `show` may be called by any one thread at a time.

    `on_hello` is called once, when a page has answered: from then on it is drawn there. `on_ask` is called for each press of
    a button. Both come on threads of the kernel and must return at once.
    """

    _esm = (_FOLDER / "card.js").read_text(encoding="utf-8")
    _css = style_sheet() + (_FOLDER / "card.css").read_text(encoding="utf-8")
    head: Any = traitlets.List().tag(sync=True)
    best: Any = traitlets.List().tag(sync=True)
    figures: Any = traitlets.List().tag(sync=True)
    table: Any = traitlets.List().tag(sync=True)
    notes: Any = traitlets.List().tag(sync=True)
    tint: Any = traitlets.Unicode().tag(sync=True)
    curves: Any = traitlets.Dict().tag(sync=True)
    figure: Any = traitlets.Unicode().tag(sync=True)

    def __init__(self, on_hello: Callable[[], None], on_ask: Ask) -> None:
        self._on_hello, self._on_ask = on_hello, on_ask
        self._lock = threading.Lock()
        """Guards the two sets below: requests come on several threads."""
        self._said: set[str] = set()
        self._taken: set[str] = set()
        """Ids of requests that were obeyed: they come again until the page has heard so."""
        super().__init__()
        self.on_msg(self._hear)
        _keep_subshells(self.comm)

    @property
    def is_alive(self) -> bool:
        """Whether a page has answered."""
        return "hello" in self._said

    @property
    def draws_curves(self) -> bool:
        """Whether a page draws the curves by itself."""
        return "drawn" in self._said

    def show(self, sections: Mapping[str, Element], curves: Content, tint: str, figure: Figure) -> None:
        """Send what has changed, in one message; `curves` fill the `figure`."""
        self._figure = figure
        with self.hold_sync():
            for name, tree in sections.items():
                self.set_trait(name, as_lists(tree))
            self.tint = tint
            self.curves = dict(curves)
            if self._asked_for_figure:
                self.figure = figure()

    def bundle(self, html: str, text: str) -> dict[str, Any]:
        """What is displayed: the widget, and beside it what a page without a kernel shows."""
        view = {"version_major": 2, "version_minor": 0, "model_id": self.model_id}
        return {"application/vnd.jupyter.widget-view+json": view, "text/html": html, "text/plain": text}

    _figure: Figure | None = None
    _asked_for_figure = False

    def _hear(self, widget: object, content: Any, buffers: object) -> None:
        """A request from a page, on whichever thread the kernel hears it."""
        if not isinstance(content, dict) or not isinstance(content.get("id"), str):
            return
        ask, first = str(content.get("ask")), self._is_first(content["id"])
        if ask in ASKS and first:
            self._on_ask(ask, str(content.get("of", "")))
        elif ask == "bokeh":
            self._send_bokeh(content)
            return
        elif self._note(ask) and ask == "hello":
            self._on_hello()
        self.send({"taken": content["id"]})

    def _is_first(self, request: str) -> bool:
        with self._lock:
            first = request not in self._taken
            self._taken.add(request)
            return first

    def _note(self, ask: str) -> bool:
        with self._lock:
            first = ask not in self._said
            self._said.add(ask)
            return first

    def _send_bokeh(self, content: Mapping[str, Any]) -> None:
        if self._figure is not None:
            self.figure = self._figure()
        self._asked_for_figure = True  # only now: its first making takes a second, for which `show` must not wait
        has_it = content.get("have") == bokeh_script.version()
        self.send({"taken": content["id"]}, [] if has_it else [bokeh_script.gzipped()])


def _keep_subshells(comm: Any) -> None:
    """From 7.4 on ipykernel answers on the shell that last published, which a card drawn by a busy cell ties to that cell."""
    if hasattr(comm, "_reply_subshell_for"):
        comm._reply_subshell_for = lambda data, default: default
