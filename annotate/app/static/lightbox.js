// A closer look at crops: one beside another, at one scale, with zoom.

import { getTracklet } from "./api.js";
import { action, dialog, h, toast, topDialog } from "./dom.js";

const STEP = 1.25; // of the zoom
const LARGEST = 32; // px on the screen for a px of the frame
const TALL = 0.55; // of the window's height, that the tallest crop takes at first
const NARROW = 500; // px of the window: crops are above each other there
const PAUSE = 0.4; // s between the end of what is played and its begin
const AROUND = 3; // s before and after a crop that are played
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
  let playing = false;
  async function play() {
    playing = !playing;
    button.setAttribute("aria-pressed", String(playing));
    if (!playing) return panels.forEach((panel) => panel.stop());
    await Promise.all(panels.map((panel) => panel.load())).catch((error) => toast(error.message, "error"));
    if (playing) panels.forEach((panel) => panel.play());
  }
  const title = `${AROUND} s before and after, again and again`;
  const button = action("P", "play", play, { "aria-pressed": "false", title });
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
      button,
      action("Esc", "close", () => topDialog().box.close()),
      note,
    ),
  );
  const closed = dialog(panels.map(({ name }) => name).join(" beside "), body, {
    "+": turn(STEP),
    "=": turn(STEP),
    "-": turn(1 / STEP),
    0: fits,
    p: play,
    ArrowRight: step(0, 1),
    ArrowLeft: step(0, -1),
    ArrowDown: step(1, 1),
    ArrowUp: step(1, -1),
    l: () => topDialog().box.close(),
  });
  panels.forEach((panel) => panel.step(0));
  await closed;
  panels.forEach((panel) => panel.stop());
}

class Panel {
  #at;
  #clip = []; // pictures of the same tracklet around the crop, in order of time
  #turn = 0; // of the loop that plays; another one ends it

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

  // All crops of the tracklet around the one that is shown, decoded.
  async load() {
    const { tracklet, time } = this.crops[this.#at];
    const { crops } = await getTracklet(tracklet);
    const near = crops.filter((crop) => Math.abs(crop.time - time) <= AROUND);
    this.#clip = await Promise.all(
      near.map(async (crop) => {
        const image = h("img", { src: crop.url });
        await image.decode().catch(() => null); // a crop that is damaged stays out of sight
        return crop;
      }),
    );
  }

  // As fast as they were seen, again and again.
  play() {
    const turn = ++this.#turn;
    const begin = performance.now();
    const first = this.#clip[0]?.time ?? 0;
    const seconds = (this.#clip.at(-1)?.time ?? 0) - first + PAUSE;
    const draw = () => {
      if (turn !== this.#turn) return;
      const now = first + (((performance.now() - begin) / 1000) % seconds);
      const crop = this.#clip.findLast(({ time }) => time <= now) ?? this.#clip[0];
      if (crop && !this.image.src.endsWith(crop.url)) {
        this.image.src = crop.url;
        this.caption.textContent = `frame ${crop.frame} · ${crop.time.toFixed(1)} s · ${crop.height} px`;
      }
      requestAnimationFrame(draw);
    };
    draw();
  }

  stop() {
    this.#turn++;
    this.step(0);
  }

  step(by) {
    this.#turn++;
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
