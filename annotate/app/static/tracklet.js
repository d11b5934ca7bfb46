// One tracklet, by its address: its pictures, its label, when and where it was seen.

import { attempt, decide, get, getTracklet, newest, session } from "./api.js";
import { action, h, inPlainWords, picture, plural, toast } from "./dom.js";
import { showFrame } from "./frame.js";
import { showLightbox } from "./lightbox.js";
import { sightingInWords } from "./person.js";
import { link, linkToPerson } from "./route.js";
import { showStrip } from "./strip.js";

const SHOWN = 24; // crops, spread over the tracklet

export class TrackletView {
  #tracklet = null;

  constructor(main) {
    this.main = main;
    this.keys = {
      n: () => this.#tracklet && this.#decide({ op: "new_identity", tracklets: [this.#name] }),
      j: () => this.#mark("junk"),
      x: () => this.#mark("distractor"),
      u: () => this.#tracklet?.label !== "open" && this.#mark("open"),
      v: () => this.#strip(),
      f: () => this.#frame(),
      l: () => this.#tracklet && showLightbox([{ name: this.#name, crops: this.#tracklet.crops }]),
      Escape: () => history.back(),
    };
  }

  get #name() {
    return this.#tracklet.tracklet;
  }

  async show() {
    const name = this.route.parts.join("/");
    this.#tracklet = null;
    const found = await newest(this, () => getTracklet(name));
    if (found === undefined) return;
    if (!found) {
      this.main.replaceChildren(h("section", { class: "empty" }, h("h1", {}, `There is no tracklet ${name}.`)));
      return;
    }
    this.#tracklet = found;
    document.title = `uavpipe: ${name}`;
    this.#draw();
    const path = name.split("/").map(encodeURIComponent).join("/");
    const known = await attempt(() => get(`/api/sightings/${path}`));
    const place = this.main.querySelector("#sighting");
    if (known && place) place.textContent = sightingInWords(known.sightings[name]);
  }

  #draw() {
    const { label, crops, detections, times } = this.#tracklet;
    const step = Math.max(1, crops.length / SHOWN);
    const shown = crops.filter((_, place) => Math.floor(place / step) !== Math.floor((place - 1) / step));
    const middle = shown[Math.floor(shown.length / 2)];
    const who = Number.isInteger(label)
      ? h("a", { href: linkToPerson(label) }, `Person ${label}`)
      : label === "open"
        ? "without a label"
        : inPlainWords(label);
    const crop = middle && `${this.#tracklet.flight}/${middle.frame}/${middle.rank}`;
    const search = session.find && crop && link("picture", [], { crop });
    this.main.replaceChildren(
      h(
        "section",
        { class: "person" },
        h(
          "article",
          { class: "panel" },
          h("h1", {}, this.#name),
          h(
            "p",
            { class: "quiet" },
            who,
            ` · ${plural(detections, "detection")} · ${(times[1] - times[0]).toFixed(1)} s`,
          ),
          h("p", { class: "quiet", id: "sighting" }),
          h(
            "div",
            { class: "actions", role: "group", "aria-label": "The tracklet" },
            label === "open" ? null : action("U", "ask again", () => this.keys.u()),
            action("N", "new person", () => this.keys.n()),
            action("J", "not a person", () => this.keys.j()),
            action("X", "distractor", () => this.keys.x()),
            action("V", "all crops, split", () => this.keys.v()),
            action("F", "frame", () => this.keys.f()),
            action("L", "look closer", () => this.keys.l()),
            search ? h("a", { class: "button", href: search }, "who looks like this") : null,
          ),
          h(
            "div",
            { class: "crops" },
            shown.map((crop) => picture(crop, this.#name)),
          ),
        ),
      ),
    );
  }

  #mark(mark) {
    return this.#tracklet && this.#decide({ op: "mark", tracklets: [this.#name], mark });
  }

  async #decide(operation) {
    const done = await decide(operation, { seen: this.#tracklet.seen });
    if (!done) return this.show();
    const what = done.created ? `person ${done.created}` : inPlainWords(operation.mark);
    toast(`${this.#name}: ${what}; Z takes it back`);
    await this.show();
  }

  async #strip() {
    if (this.#tracklet && (await showStrip(this.#name))) await this.show();
  }

  #frame() {
    const { flight, crops } = this.#tracklet ?? { crops: [] };
    if (crops.length) showFrame(flight, crops[Math.floor(crops.length / 2)].frame, [this.#name]);
  }
}
