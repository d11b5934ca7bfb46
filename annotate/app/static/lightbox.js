// A closer look at crops: one beside another, at one scale, with zoom.

import { action, dialog, h, topDialog } from "./dom.js";

const STEP = 1.25; // of the zoom
const LARGEST = 32; // px on the screen for a px of the frame
const TALL = 0.55; // of the window's height, that the tallest crop takes at first
const NARROW = 500; // px of the window: crops are above each other there
const WIDE = 0.9; // of the window's width, that all crops take at most at first

// Each of `sides`: { name, crops, at }. The first side is walked through by ← →, the second by ↑ ↓.
export async function showLightbox(sides) {
  const panels = sides.filter(({ crops }) => crops.length).map((side) => new Panel(side));
  if (!panels.length) return;
  const note = h("output", { class: "quiet" });
  let zoom = 0; // 0: as it fits

  function draw() {
    const sizes = panels.map(({ image }) => ({ width: image.naturalWidth, height: image.naturalHeight }));
    const tallest = Math.max(1, ...sizes.map(({ height }) => height));
    const widest = sizes.reduce((sum, { width }) => sum + width, 1);
    const tall = innerWidth < NARROW ? TALL / 2 : TALL;
    const fit = Math.min((tall * innerHeight) / tallest, (WIDE * innerWidth) / widest);
    const scale = zoom || Math.min(LARGEST, fit);
    panels.forEach((panel) => panel.draw(scale));
    note.textContent = `${scale.toFixed(1)} times the size in the frame`;
    return scale;
  }

  const turn = (factor) => () => {
    if (!panels.every(({ image }) => image.naturalWidth)) return; // not loaded yet: of what size is not known
    zoom = Math.max(0.5, Math.min(LARGEST, draw() * factor));
    draw();
  };
  const fits = () => {
    zoom = 0;
    draw();
  };
  const step = (place, by) => () => panels[place]?.step(by);
  panels.forEach((panel) => panel.image.addEventListener("load", draw));
  const holder = h(
    "div",
    { class: "lightbox" },
    panels.map(({ element }) => element),
  );
  holder.addEventListener(
    "wheel",
    (event) => {
      event.preventDefault();
      turn(event.deltaY < 0 ? STEP : 1 / STEP)();
    },
    { passive: false },
  );
  const body = h(
    "div",
    {},
    holder,
    h(
      "div",
      { class: "actions" },
      action("+", "larger", turn(STEP)),
      action("−", "smaller", turn(1 / STEP)),
      action("0", "as it fits", fits),
      action("Esc", "close", () => topDialog().box.close()),
      note,
    ),
  );
  const closed = dialog(panels.map(({ name }) => name).join(" beside "), body, {
    "+": turn(STEP),
    "=": turn(STEP),
    "-": turn(1 / STEP),
    0: fits,
    ArrowRight: step(0, 1),
    ArrowLeft: step(0, -1),
    ArrowDown: step(1, 1),
    ArrowUp: step(1, -1),
    l: () => topDialog().box.close(),
  });
  panels.forEach((panel) => panel.step(0));
  await closed;
}

class Panel {
  #at;

  constructor({ name, crops, at = Math.floor(crops.length / 2) }) {
    this.name = name;
    this.crops = crops;
    this.#at = at;
    this.image = h("img", {});
    this.caption = h("span", { class: "quiet" });
    const arrow = (text, what, by) => {
      const label = `${what} crop of ${name}`;
      return h("button", { type: "button", onclick: () => this.step(by), "aria-label": label }, text);
    };
    this.element = h(
      "figure",
      {},
      h("div", { class: "pane", tabindex: "0", role: "group", "aria-label": name }, this.image),
      h("figcaption", { class: "row" }, arrow("‹", "Earlier", -1), h("strong", {}, name), arrow("›", "Later", 1)),
      this.caption,
    );
  }

  step(by) {
    this.#at = Math.max(0, Math.min(this.crops.length - 1, this.#at + by));
    const crop = this.crops[this.#at];
    this.image.src = crop.url;
    this.image.alt = `${this.name}, frame ${crop.frame}`;
    const place = `${this.#at + 1} of ${this.crops.length}`;
    this.caption.textContent = `frame ${crop.frame} · ${place} · ${crop.height} px`;
  }

  draw(scale) {
    this.image.style.width = `${scale * this.image.naturalWidth}px`;
  }
}
