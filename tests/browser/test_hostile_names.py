"""What a real browser makes of hostile names: no script runs, nothing is asked of another host, no element comes of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import Browser, Dialog, Page

from nbray import demo
from tests.browser.conftest import OpenTab
from tests.browser.lab import Server
from tests.security.drawn import fragments
from tests.security.hostile import FOREIGN, HOSTILE, tamed

pytestmark = [pytest.mark.browser, pytest.mark.timeout(240)]

COUNT = "window.hits = 0; window.xss = () => { window.hits += 1; };"
OUTLINE = """() => [...document.querySelectorAll('section')].map((section) => [...section.querySelectorAll('*')].map(
    (each) => [each.localName, ...[...each.attributes].map((attribute) => attribute.name)].join(' ')))"""
PROVOKE = """() => document.querySelectorAll('*').forEach((each) => {
    for (const kind of ['mouseover', 'mousemove', 'focus', 'toggle', 'click', 'error', 'load']) {
        if (!(each.localName === 'html' || (kind === 'click' && each.closest('a[href]'))))
            each.dispatchEvent(new Event(kind, { bubbles: kind !== 'load' && kind !== 'error' }));
    }
})"""
STRANGE = """(where) => {
    const all = (root) => [...root.querySelectorAll('*')].flatMap(
        (each) => [each, ...(each.shadowRoot ? all(each.shadowRoot) : [])]);
    const tags = new Set(['script', 'iframe', 'object', 'embed', 'base', 'meta', 'form', 'video', 'audio', 'math', 'template',
        'details', 'select', 'animate', 'foreignobject', 'custom-element', 'mglyph', 'mjx-container']);
    const asks = (one) => ['href', 'xlink:href', 'src', 'action', 'data'].includes(one.name) && !/^(data|blob):/.test(one.value);
    return [...document.querySelectorAll(where)].flatMap(all)
        .filter((each) => tags.has(each.localName.toLowerCase())
            || [...each.attributes].some((one) => one.name.startsWith('on') || asks(one)))
        .filter((each) => !each.matches('pre a[rel=noopener]'))
        .map((each) => each.outerHTML.slice(0, 200));
}"""
"""Elements that nbray never makes, also in the shadow trees of BokehJS. Of addresses in plain text Jupyter itself makes links."""


class Watched:
    """A page that counts what nobody should see: calls of `xss`, requests to others, dialogs, new pages."""

    def __init__(self, page: Page, own: str) -> None:
        self.page = page
        self.seen: list[str] = []
        page.add_init_script(COUNT)
        page.on("dialog", self._refuse)
        page.on("popup", lambda popup: self.seen.append(f"page {popup.url}"))
        page.on("request", lambda request: self._hear(request.url, own))

    def _refuse(self, dialog: Dialog) -> None:
        self.seen.append(f"dialog {dialog.message}")
        dialog.dismiss()

    def _hear(self, url: str, own: str) -> None:
        if FOREIGN in url or not url.startswith((own, "data:", "blob:", "about:")):
            self.seen.append(f"request {url}")

    def complaints(self) -> list[str]:
        """All that has happened so far."""
        self.page.wait_for_timeout(300)
        hits = [f"{frame.evaluate('() => window.hits || 0')} scripts" for frame in self.page.frames]
        return self.seen + [hit for hit in hits if hit != "0 scripts"]


@pytest.fixture
def watched(browser: Browser) -> Iterator[Callable[[str], Watched]]:
    """Opens pages that have nothing but what is given to them."""
    context = browser.new_context(viewport={"width": 1300, "height": 900})

    def open_one(html: str) -> Watched:
        watched = Watched(context.new_page(), "about:blank")
        watched.page.set_content(html)
        return watched

    yield open_one
    context.close()


def page_of(drawn: list[str]) -> str:
    sections = "".join(f"<section>{html}</section>" for html in drawn)
    return f"<!DOCTYPE html><html><head><script>{COUNT}</script></head><body>{sections}</body></html>"


def test_the_watch_sees_what_it_is_for(watched: Callable[[str], Watched]) -> None:
    """The tests below could not fail otherwise: the same texts, not escaped."""
    page = watched("")
    caught = 0
    for text in HOSTILE:
        page.seen.clear()
        page.page.set_content(page_of([f'<div title="{text}">{text}</div>']), wait_until="commit")
        page.page.evaluate(PROVOKE)
        strange, hits = page.page.evaluate(STRANGE, "section"), page.page.evaluate("() => window.hits")
        caught += bool(page.seen or strange or hits)
    assert caught > 40


def test_everything_that_is_drawn(watched: Callable[[str], Watched]) -> None:
    """A hostile text, short or long, makes the elements that a tame one makes."""
    tame = [tamed(text) for text in (min(HOSTILE, key=len), max(HOSTILE, key=len))]
    drawn = [fragments(text) for text in (*tame, *HOSTILE)]
    page = watched("")
    for name in drawn[0]:
        page.page.set_content(page_of([each[name] for each in drawn]))
        page.page.evaluate(PROVOKE)
        outlines = page.page.evaluate(OUTLINE)
        assert len(outlines) == len(tame) + len(HOSTILE)
        assert [text for text, outline in zip(HOSTILE, outlines[2:], strict=True) if outline not in outlines[:2]] == [], name
        assert page.page.evaluate("() => window.hits") == 0, name
    assert page.complaints() == []


# -------------------------------------------------------------------- in JupyterLab

LOAD = r"""
%load_ext nbray
import os, sys, time
import pandas as pd
import nbray
from IPython.display import display
from nbray import tune
from tests.security.hostile import HOSTILE

NAMES = [text.replace("\0", "") for text in HOSTILE]  # what may be the name of a class

@nbray.remote
def say(text):
    print(text)
    print(text, file=sys.stderr)

@nbray.remote
def fail(text):
    raise type(text, (Exception,), {})(text)

ENOUGH = os.path.abspath("enough")

def until_enough(pace):
    for step in range(2000):
        yield step
        if step > 30 and os.path.exists(ENOUGH):
            return
        time.sleep(pace)

@nbray.remote
def steps(names):
    for step in until_enough(0.02):
        yield {name: step / (1 + index) for index, name in enumerate(names)}

def train(config):
    for step in until_enough(0.05):
        tune.report({config["metric"]: step / 30, NAMES[0]: step})

def fit(metric):
    space = {"metric": metric, **{name: tune.choice([NAMES[index], NAMES[-index]]) for index, name in enumerate(NAMES[-8:])}}
    how = tune.TuneConfig(metric=metric, mode="max", num_samples=4)
    run = tune.RunConfig(name="hostile", storage_path="results")
    return tune.Tuner(train, param_space=space, tune_config=how, run_config=run).fit()

nbray.init(num_workers=2)
"""
CELLS = (
    "nbray.get([say.options(name=text).remote(text) for text in HOSTILE])",
    "refs = [fail.options(name=text).remote(text) for text in NAMES]; nbray.wait(refs, num_returns=60); display(*refs)",
    "nbray.get(refs[0])",
    """kinds = [nbray.remote(type(name, (), {"go": lambda self, text: print(text)})) for name in NAMES[::20]]
actors = [kind.options(name=kind.__name__, num_cpus=0).remote() for kind in kinds]
nbray.get([actor.go.remote(text) for actor in actors for text in HOSTILE])""",
    """%%remote
from tqdm.auto import tqdm
for text in HOSTILE:
    for step in tqdm(range(3), desc=text, unit=text, postfix=text):
        pass""",
    """%%remote -n 2 --name "<img src=x onerror=xss()>"
for text in HOSTILE:
    print(text)
raise ValueError(HOSTILE[rank])""",
    """%%remote
frame = pd.DataFrame({text: [text] * 500 for text in HOSTILE if "$" not in text})  # pandas lets pages typeset it""",
    "display(frame)",
    *(f"%nbray {action}" for action in ("", "history", "why", "attach", "doctor", "memory", "stack")),
    "display(nbray.list_tasks(limit=500), nbray.list_actors(), nbray.list_objects(), nbray.nodes())",
)
"""Each shows something at once."""
LIVE = (
    "items = nbray.plot({name: steps.remote(NAMES[-8:]) for name in NAMES[:2]}, title=NAMES[-1])",
    "items = nbray.plot(steps.remote(['$$1/x$$', '$y$']), title=NAMES[-1])",
    "grid = fit('$$1/x$$'); display(grid)",
)
"""Each is drawn by BokehJS while it runs."""
OUTPUTS = ".jp-OutputArea-output"
FIGURE = ".nbray-live .bk-Figure"
POINTED = """async () => {
    const all = (root) => [...root.querySelectorAll('*')].flatMap(
        (each) => [each, ...(each.shadowRoot ? all(each.shadowRoot) : [])]);
    for (const events of all(document).filter((each) => each.classList.contains('bk-events'))) {
        const { left, top, width, height } = events.getBoundingClientRect();
        for (const part of [0.3, 0.5, 0.7, 0.95]) {
            for (let y = 2; y < height; y += 4) {
                const at = { clientX: left + part * width, clientY: top + y, bubbles: true, composed: true, pointerId: 1 };
                events.dispatchEvent(new PointerEvent('pointermove', at));
            }
            await new Promise(requestAnimationFrame);
        }
    }
    return all(document).filter((each) => each.classList.contains('bk-Tooltip')).length > 0;
}"""
"""Move over every figure from top to bottom; whether there was a curve, of which a tooltip tells."""


TITLES = """() => Bokeh.documents.map((each) => each.get_model_by_name('title-0')?.text).filter(Boolean)
    .map((each) => [each.type, each.text])"""


def test_everything_in_a_notebook(server: Server, open_tab: OpenTab, watched: Callable[[str], Watched]) -> None:
    server.write_notebook("hostile.ipynb", [LOAD, *LIVE, *CELLS])
    tab = open_tab("hostile.ipynb")
    watch = Watched(tab.page, server.url)
    tab.open()
    tab.run(0)
    for index in range(1, 1 + len(LIVE)):
        tab.start(index)
        tab.page.wait_for_selector(FIGURE, timeout=60_000)
        tab.page.wait_for_function(POINTED, timeout=60_000)  # until a tooltip has told what is there
        assert tab.page.evaluate(STRANGE, OUTPUTS) == []
        titles = dict(tab.page.evaluate(TITLES))
        assert set(titles) == {"PlainText"} or "plot" not in LIVE[index - 1], "a text of another kind would be typeset"
        tab.look(f"hostile-{index}")
        (server.folder / "enough").touch()
        tab.wait_for_text(index, "Done", 60)
        tab.wait_until_idle()
        (server.folder / "enough").unlink()
    said = [tab.run(1 + len(LIVE) + index) for index in range(len(CELLS))]
    silent = [cell for cell, text in zip(CELLS, said, strict=True) if "<script>xss()</script>" not in text]
    assert len(silent) <= 5, "why, doctor, memory, stack and the cell that makes the frame"
    assert tab.page.evaluate(STRANGE, OUTPUTS) == []
    tab.save()
    tab.page.wait_for_timeout(500)
    tab.open()
    assert (tab.page.evaluate(STRANGE, OUTPUTS), watch.complaints()) == ([], [])
    exported = watched(demo.to_html(tab.server.read_notebook(tab.name)))
    exported.page.evaluate(PROVOKE)
    assert (exported.page.evaluate(STRANGE, OUTPUTS), exported.complaints()) == ([], [])
