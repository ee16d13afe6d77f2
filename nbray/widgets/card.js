// Draws a live card: sections come as trees of elements, curves as numbers. One way only: what goes up is a request, sent
// again until the kernel has taken it, since it may be busy with a cell.

const SECTIONS = ["head", "best", "figures", "table", "notes"];
const AGAIN = 450; // milliseconds between two sendings of a request
const SVG = "http://www.w3.org/2000/svg";
const SHAPES = new Set(["svg", "g", "line", "path", "circle", "text", "title", "rect"]);
const LIVE = "data-live"; // an element whose children this script draws by itself

function initialize({ model }) {
  const hello = request(model, { ask: "hello" });
  return () => hello.stop();
}

function render({ model, el }) {
  const card = document.createElement("div");
  card.className = "nbray-card nbray-live mathjax_ignore tex2jax_ignore"; // names are no mathematics
  const parts = Object.fromEntries(SECTIONS.map((name) => [name, card.appendChild(document.createElement("div"))]));
  el.appendChild(card);
  const undo = [];
  const follow = (name, draw) => {
    model.on(`change:${name}`, draw);
    undo.push(() => model.off(`change:${name}`, draw));
  };
  const curves = new Curves(model, card);
  for (const name of SECTIONS) {
    const draw = () => {
      if (model.get(name).length) morph(parts[name].firstChild ?? parts[name].appendChild(place(model.get(name))), model.get(name));
      if (name === "figures") curves.draw();
    };
    follow(name, draw);
    draw();
  }
  const tint = () => card.style.setProperty("--nbray-color", model.get("tint"));
  follow("tint", tint);
  follow("curves", () => curves.draw());
  follow("figure", () => curves.draw());
  tint();
  const requests = listen(model, card);
  undo.push(light(card, curves), () => requests.forEach((each) => each.stop()), () => curves.close());
  return () => undo.forEach((step) => step());
}

// ------------------------------------------------------------------ requests

let count = 0;
const page = Math.random().toString(36).slice(2);

/** Send this until the kernel says that it has taken it; `onTaken` gets its answer. */
function request(model, content, onTaken = () => {}) {
  const id = `${page}-${count++}`;
  const send = () => model.send({ ...content, id });
  const timer = setInterval(send, AGAIN);
  const hear = (answer, buffers) => {
    if (answer.taken !== id) return;
    stop();
    onTaken(answer, buffers);
  };
  const stop = () => {
    clearInterval(timer);
    model.off("msg:custom", hear);
  };
  model.on("msg:custom", hear);
  send();
  return { stop };
}

/** Buttons ask; one that was pressed waits until the kernel has heard it. */
function listen(model, card) {
  const open = [];
  card.addEventListener("click", (event) => {
    const button = event.target.closest("button[data-ask]");
    if (!button || button.classList.contains("nbray-asked")) return;
    button.classList.add("nbray-asked");
    const late = setTimeout(() => card.classList.add("nbray-late"), 1500);
    const heard = () => {
      clearTimeout(late);
      card.classList.remove("nbray-late");
      setTimeout(() => button.classList.remove("nbray-asked"), 600);
    };
    open.push(request(model, { ask: button.dataset.ask, of: button.dataset.of }, heard));
  });
  return open;
}

/** The trial under the pointer stands out in every figure and in the table. */
function light(card, curves) {
  let lit = null;
  const over = (event) => {
    const trial = event.target.closest("[data-trial]")?.dataset.trial ?? null;
    if (trial === lit) return;
    lit = trial;
    card.querySelectorAll(".nbray-lit").forEach((each) => each.classList.remove("nbray-lit"));
    card.classList.toggle("nbray-dim", trial !== null);
    if (trial !== null) {
      card.querySelectorAll(`[data-trial="${CSS.escape(trial)}"]`).forEach((each) => each.classList.add("nbray-lit"));
    }
    curves.light(trial);
  };
  const leave = () => over({ target: card });
  card.addEventListener("mouseover", over);
  card.addEventListener("mouseleave", leave);
  return () => {
    card.removeEventListener("mouseover", over);
    card.removeEventListener("mouseleave", leave);
  };
}

// ------------------------------------------------------------------ trees

const key = (tree) => (Array.isArray(tree) ? tree[1]["data-key"] : undefined);

/** A new node for a tree, empty still. */
function place(tree) {
  if (!Array.isArray(tree)) return document.createTextNode(tree);
  return SHAPES.has(tree[0]) ? document.createElementNS(SVG, tree[0]) : document.createElement(tree[0]);
}

/** Make a node look as the tree says, with as few changes as it takes; returns the node that stands there then. */
function morph(node, tree) {
  if (!Array.isArray(tree)) {
    if (node.nodeType !== Node.TEXT_NODE) return replace(node, tree);
    if (node.data !== tree) node.data = tree;
    return node;
  }
  const [tag, attributes, ...children] = tree;
  if (node.nodeType !== Node.ELEMENT_NODE || node.localName !== tag) return replace(node, tree);
  dress(node, attributes);
  if (!node.hasAttribute(LIVE)) settle(node, children);
  return node;
}

function replace(node, tree) {
  const fresh = place(tree);
  node.replaceWith(fresh);
  return morph(fresh, tree);
}

function dress(node, attributes) {
  for (const { name } of [...node.attributes]) {
    if (!(name in attributes) && name !== LIVE && name !== "class") node.removeAttribute(name);
  }
  for (const [name, value] of Object.entries(attributes)) {
    if (name === "class") wear(node, value);
    else if (node.getAttribute(name) !== value) node.setAttribute(name, value);
  }
}

/** Classes of the tree, and those that this script gave. */
function wear(node, classes) {
  const own = [...node.classList].filter((name) => name === "nbray-lit" || name === "nbray-asked");
  const value = [classes, ...own].join(" ");
  if (node.getAttribute("class") !== value) node.setAttribute("class", value);
}

/** Children with keys stay the nodes that they are, wherever they move. */
function settle(node, trees) {
  const known = new Map([...node.children].filter((each) => each.dataset?.key).map((each) => [each.dataset.key, each]));
  const ordered = node.localName === "tbody" && node.matches(":hover") ? inPlace(trees, known) : trees;
  ordered.forEach((tree, index) => {
    const wanted = known.get(key(tree));
    let there = node.childNodes[index];
    if (wanted && wanted !== there) {
      node.insertBefore(wanted, there ?? null);
      there = wanted;
    } else if (!wanted && key(tree) !== undefined && there?.dataset?.key) {
      there = node.insertBefore(place(tree), there);
    }
    morph(there ?? node.appendChild(place(tree)), tree);
  });
  while (node.childNodes.length > ordered.length) node.lastChild.remove();
}

/** While the pointer is on the table its rows stay where they are, so that nobody presses the button of another trial. */
function inPlace(trees, known) {
  const order = new Map([...known.keys()].map((each, index) => [each, index]));
  const rank = (tree) => order.get(key(tree)) ?? Infinity;
  return trees.map((tree, index) => [rank(tree), index, tree]).sort((a, b) => a[0] - b[0] || a[1] - b[1]).map((each) => each[2]);
}

// ------------------------------------------------------------------ curves

/** The library, once for a page: from the page if it has the right one, else from the kernel. */
let library = null;

function bokeh(model) {
  library ??= new Promise((done) => {
    const have = globalThis.Bokeh?.version ?? null;
    request(model, { ask: "bokeh", have }, async (answer, buffers) => {
      done(buffers.length ? await load(buffers[0]) : globalThis.Bokeh);
    });
  });
  return library;
}

async function load(buffer) {
  const script = new Blob([buffer]).stream().pipeThrough(new DecompressionStream("gzip"));
  const url = URL.createObjectURL(new Blob([await new Response(script).blob()], { type: "text/javascript" }));
  const [there, tag] = [globalThis.Bokeh, document.createElement("script")];
  delete globalThis.Bokeh; // another version stays what the rest of the page sees
  tag.src = url;
  await new Promise((done, fail) => {
    tag.onload = done;
    tag.onerror = fail;
    document.head.appendChild(tag);
  });
  URL.revokeObjectURL(url);
  const found = globalThis.Bokeh;
  if (there) globalThis.Bokeh = there;
  return found;
}

/** The figure of learning curves, in its slot of the card. */
class Curves {
  constructor(model, card) {
    Object.assign(this, { model, card, figure: "", views: null, document: null, shown: null, closed: false, busy: false });
    this.theme = new MutationObserver(() => this.dress());
    this.theme.observe(document.body, { attributes: true });
  }

  get slot() {
    return this.card.querySelector("[data-slot=curves]");
  }

  async draw() {
    if (this.busy || this.closed || !this.slot || !this.model.get("curves").sources) return;
    this.busy = true;
    try {
      const Bokeh = await bokeh(this.model);
      await this.embed(Bokeh);
      this.fill();
    } finally {
      this.busy = false;
    }
  }

  async embed(Bokeh) {
    while (!this.card.isConnected && !this.closed) await new Promise(requestAnimationFrame);
    const [slot, figure] = [this.slot, this.model.get("figure")];
    if (!slot || !figure || this.closed || (figure === this.figure && slot.hasAttribute(LIVE))) return;
    this.forget();
    slot.setAttribute(LIVE, "");
    slot.replaceChildren();
    const item = JSON.parse(figure);
    try {
      this.views = await Bokeh.embed.embed_item({ ...item, target_id: null }, slot);
    } catch (error) {
      if (slot.isConnected && !this.closed) throw error; // else the card was taken off the page meanwhile
      return;
    }
    this.document = [...(this.views.roots ?? this.views)][0].model.document;
    this.figure = figure;
    this.shown = null;
    this.dress();
    request(this.model, { ask: "drawn" });
  }

  named(name) {
    return this.document?.get_model_by_name(name);
  }

  fill() {
    const curves = this.model.get("curves");
    if (!this.document || !curves.sources) return;
    for (const [name, data] of Object.entries(curves.sources)) this.named(name)?.setv({ data });
    for (const [name, properties] of Object.entries(curves.set)) this.label(this.named(name), properties);
    for (const [name, range] of Object.entries(curves.ranges)) this.fit(this.named(name), name, range);
  }

  /** Say something in the figure: in place of a plain text, which the figure has there, one of the same kind, or $x$ would be
   * taken for mathematics. */
  label(model, properties) {
    for (const [name, text] of Object.entries(model ? properties : {})) {
      const there = model[name];
      if (there.text !== text) model.setv({ [name]: new there.constructor({ text }) });
    }
  }

  /** Follow the data until the user moves the range. A figure that is being replaced may not have it. */
  fit(range, axis, [start, end]) {
    if (!range) return;
    const shown = this.shown?.[axis];
    if (shown && (range.start !== shown[0] || range.end !== shown[1])) return;
    range.setv({ start, end, reset_start: start, reset_end: end });
    this.shown = { ...this.shown, [axis]: [start, end] };
  }

  light(trial) {
    const lines = this.model.get("curves").sources?.lines;
    if (!this.document || !lines) return;
    const index = trial === null ? -1 : lines.trial.indexOf(trial);
    const lit = (name) => (index < 0 ? [] : [lines[name][index]]);
    this.named("lit").data = { xs: lit("xs"), ys: lit("ys"), color: lit("color") };
  }

  /** Colours of the page: light or dark. */
  dress() {
    if (!this.document) return;
    const style = getComputedStyle(this.card);
    const [ink, faint] = [style.color, "rgba(128,128,128,.28)"];
    const { axes = [], grids = [], titles = [] } = this.model.get("curves");
    for (const name of axes) {
      this.named(name)?.setv({
        axis_label_text_color: ink, major_label_text_color: ink, axis_line_color: faint, major_tick_line_color: faint,
      });
    }
    for (const name of grids) this.named(name)?.setv({ grid_line_color: faint });
    for (const name of titles) this.named(name)?.setv({ text_color: ink });
  }

  forget() {
    for (const view of this.views?.roots ?? this.views ?? []) view.remove?.();
    this.views = this.document = null;
  }

  close() {
    this.closed = true;
    this.theme.disconnect();
    this.forget();
  }
}

export default { initialize, render };
