// A closer look at crops: one beside another, at one scale, with zoom.

import { attempt, getClip, getTracklet } from "./api.js";
import { action, dialog, h, topDialog } from "./dom.js";

const STEP = 1.25; // of the zoom
const LARGEST = 32; // px on the screen for a px of the frame
const TALL = 0.55; // of the window's height, that the tallest crop takes at first
const NARROW = 500; // px of the window: crops are above each other there
const PAUSE = 0.4; // s between the end of what is played and its begin
const AROUND = 3; // s before and after a crop that are played, also where there is no video
const WIDE = 0.9; // of the window's width, that all crops take at most at first

// Each of `sides`: { name, crops, at }. The first side is walked through by ← →, the second by ↑ ↓.
export async function showLightbox(sides) {
  const panels = sides.filter(({ crops }) => crops.length).map((side) => new Panel(side));
  if (!panels.length) return;
  const note = h("output", { class: "quiet" });
  let zoom = 0; // 0: as it fits

  function draw() {
    const sizes = panels.map(({ size }) => size);
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
    if (!panels.every(({ size }) => size.width)) return; // not loaded yet: of what size is not known
    zoom = Math.max(0.5, Math.min(LARGEST, draw() * factor));
    draw();
  };
  const fits = () => {
    zoom = 0;
    draw();
  };
  const step = (place, by) => () => panels[place]?.step(by);
  let playing = false;
  const playOrNot = (now) => {
    playing = now;
    button.setAttribute("aria-pressed", String(playing));
  };
  // Resolves to whether the clips are there: of one that has no video its crops.
  async function load() {
    note.textContent = "loading the clip …";
    const done = await attempt(() => Promise.all(panels.map((panel) => panel.load())));
    if (done) panels.forEach((panel) => panel.showClip()); // at once: they have one scale
    draw();
    return done;
  }
  async function play() {
    playOrNot(!playing);
    if (!playing) return panels.forEach((panel) => panel.stop());
    if ((await load()) && playing) panels.forEach((panel) => panel.play());
  }
  // Frame by frame, all clips at once.
  const turnFrame = (by) => async () => {
    playOrNot(false);
    if (await load()) panels.forEach((panel) => panel.stepFrame(by));
  };
  const backToCrop = (place, by) => () => {
    playOrNot(false);
    step(place, by)();
    draw();
  };
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
      action(",", "frame before", turnFrame(-1)),
      action(".", "frame after", turnFrame(1)),
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
    ",": turnFrame(-1),
    ".": turnFrame(1),
    ArrowRight: backToCrop(0, 1),
    ArrowLeft: backToCrop(0, -1),
    ArrowDown: backToCrop(1, 1),
    ArrowUp: backToCrop(1, -1),
    l: () => topDialog().box.close(),
  });
  panels.forEach((panel) => panel.step(0));
  await closed;
  panels.forEach((panel) => panel.stop());
}

class Panel {
  #at;
  #clip = null; // pictures around the crop, in order of time: of the video, or where there is none the crops
  #place = 0; // in it
  #shown = null; // the crop that it is around
  #turn = 0; // of the loop that plays; another one ends it

  constructor({ name, crops, at = Math.floor(crops.length / 2) }) {
    this.name = name;
    this.crops = crops;
    this.#at = at;
    this.image = h("img", {});
    this.window = h("canvas", { role: "img", hidden: true });
    this.caption = h("span", { class: "quiet" });
    const arrow = (text, what, by) => {
      const label = `${what} crop of ${name}`;
      return h("button", { type: "button", onclick: () => this.step(by), "aria-label": label }, text);
    };
    this.element = h(
      "figure",
      {},
      h("div", { class: "pane", tabindex: "0", role: "group", "aria-label": name }, this.image, this.window),
      h("figcaption", { class: "row" }, arrow("‹", "Earlier", -1), h("strong", {}, name), arrow("›", "Later", 1)),
      this.caption,
    );
  }

  // Of what is shown, in pixels of the frame.
  get size() {
    if (!this.window.hidden) return { width: this.#clip.side, height: this.#clip.side };
    return { width: this.image.naturalWidth, height: this.image.naturalHeight };
  }

  // The clip around the crop that is shown.
  async load() {
    const crop = this.crops[this.#at];
    if (this.#shown === crop) return;
    this.#clip = (await getClip(crop.tracklet, crop.frame)) ?? (await cropsAround(crop));
    this.#place = Math.max(0, this.#clip.frames.findLastIndex(({ frame }) => frame <= crop.frame));
    this.#shown = crop;
  }

  // As fast as it was seen, again and again.
  play() {
    const turn = ++this.#turn;
    const { frames } = this.#clip;
    const first = frames[0]?.time ?? 0;
    const seconds = (frames.at(-1)?.time ?? 0) - first + PAUSE;
    const begin = performance.now() - 1000 * ((frames[this.#place]?.time ?? first) - first); // where it was left
    const draw = () => {
      if (turn !== this.#turn) return;
      const now = first + (((performance.now() - begin) / 1000) % seconds);
      const place = Math.max(0, frames.findLastIndex(({ time }) => time <= now));
      if (place !== this.#place) {
        this.#place = place;
        this.showClip();
      }
      requestAnimationFrame(draw);
    };
    draw();
  }

  stepFrame(by) {
    this.#turn++;
    this.#place = Math.max(0, Math.min(this.#clip.frames.length - 1, this.#place + by));
    this.showClip();
  }

  stop() {
    this.#turn++;
  }

  step(by) {
    this.#turn++;
    this.#at = Math.max(0, Math.min(this.crops.length - 1, this.#at + by));
    const crop = this.crops[this.#at];
    this.#showCrop(crop);
    const place = `${this.#at + 1} of ${this.crops.length}`;
    this.caption.textContent = `frame ${crop.frame} · ${place} · ${crop.height} px`;
  }

  #showCrop(crop) {
    this.window.hidden = true;
    this.image.hidden = false;
    if (!this.image.src.endsWith(crop.url)) this.image.src = crop.url;
    this.image.alt = `${this.name}, frame ${crop.frame}`;
  }

  // The picture of the clip where it is.
  showClip() {
    const { picture, frames } = this.#clip;
    const shown = frames[this.#place];
    if (!shown) return;
    const tall = picture ? "" : ` · ${shown.height} px`;
    this.caption.textContent = `frame ${shown.frame} · ${shown.time.toFixed(1)} s${tall}`;
    if (!picture) return this.#showCrop(shown);
    const side = picture.width;
    if (this.window.width !== side) this.window.width = this.window.height = side;
    this.window.getContext("2d").drawImage(picture, 0, this.#place * side, side, side, 0, 0, side, side);
    this.window.ariaLabel = `${this.name}, frame ${shown.frame}`;
    this.image.hidden = true;
    this.window.hidden = false;
  }

  draw(scale) {
    this.image.style.width = `${scale * this.image.naturalWidth}px`;
    if (this.#clip?.side) this.window.style.width = `${scale * this.#clip.side}px`;
  }
}

// Where there is no video: the crops of the same tracklet, decoded.
async function cropsAround({ tracklet, time }) {
  const { crops } = await getTracklet(tracklet);
  const frames = crops.filter((crop) => Math.abs(crop.time - time) <= AROUND);
  // A crop that is damaged stays out of sight.
  await Promise.all(frames.map(({ url }) => h("img", { src: url }).decode().catch(() => null)));
  return { frames };
}
