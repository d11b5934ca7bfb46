// The queue: one tracklet, and the identities that it might be.

import { attempt, decide, post } from "./api.js";
import { action, h, identityName, key, picture, plural, toast } from "./dom.js";
import { showFrame } from "./frame.js";
import { showStrip } from "./strip.js";

const SHOWN = 4; // crops on a candidate's card
const KEYS = 9; // candidates that a digit chooses; a page of more of them is a wall of smaller cards

export class Queue {
  #item = null;
  #chosen = 0;
  #offset = 0;
  #busy = false;

  constructor(main) {
    this.main = main;
    this.keys = {
      Enter: () => this.#same(this.#chosen),
      " ": () => this.#same(this.#chosen),
      d: () => this.#move(1),
      ArrowRight: () => this.#move(1),
      ArrowDown: () => this.#move(this.#rowLength()),
      ArrowLeft: () => this.#move(-1),
      ArrowUp: () => this.#move(-this.#rowLength()),
      m: () => this.#more(),
      n: () => this.#isNew(),
      s: () => this.#mark("skipped"),
      j: () => this.#mark("junk"),
      x: () => this.#mark("distractor"),
      v: () => this.#strip(),
      f: () => this.#frame(),
    };
    for (let digit = 1; digit <= KEYS; digit++) this.keys[digit] = () => this.#same(digit - 1);
  }

  async show() {
    this.#wait(true); // until then the page shows a tracklet that may have an answer already
    const answer = await attempt(() => post("/api/next"));
    if (answer) this.#take(answer.item);
    this.#wait(false);
  }

  #take(item) {
    this.#item = item;
    this.#chosen = this.#offset = 0;
    this.#draw();
  }

  // One decision at a time: a key that is held down does not label what has not been seen yet.
  async #answer(operation, what) {
    if (this.#busy || !this.#item) return;
    this.#wait(true);
    const done = await decide(operation, { seen: this.#item.seen, next: true });
    if (done) {
      toast(what(done));
      this.#take(done.item);
    } else await this.show();
    this.#wait(false);
  }

  #wait(busy) {
    this.#busy = busy;
    this.main.setAttribute("aria-busy", busy);
  }

  #same(place) {
    const candidate = this.#item?.candidates[place];
    if (candidate) this.#label(candidate.identity, () => `${this.#item.tracklet} is ${identityName(candidate)}`);
  }

  #isNew() {
    if (this.#item?.second_look) return this.#secondLook("new");
    const tracklets = [this.#item?.tracklet];
    this.#answer({ op: "new_identity", tracklets }, (done) => `${tracklets[0]} is new: person ${done.created}`);
  }

  #mark(mark) {
    if (this.#item?.second_look) return this.#secondLook(mark);
    const tracklets = [this.#item?.tracklet];
    this.#answer({ op: "mark", tracklets, mark }, () => `${tracklets[0]}: ${mark}`);
  }

  #label(identity, what) {
    if (this.#item.second_look) return this.#secondLook(identity);
    const text = what();
    this.#answer({ op: "assign", tracklets: [this.#item.tracklet], identity }, () => text);
  }

  #secondLook(answer) {
    this.#answer({ op: "second_look", tracklet: this.#item.tracklet, answer }, () => "second look noted");
  }

  #move(step) {
    const count = this.#item?.candidates.length ?? 0;
    if (!count) return;
    if (this.#chosen === count - 1 && step > 0) return this.#more();
    this.#chosen = Math.max(0, Math.min(count - 1, this.#chosen + step));
    this.#highlight();
  }

  #rowLength() {
    const wall = this.main.querySelector(".many");
    return wall ? getComputedStyle(wall).gridTemplateColumns.split(" ").length : 1;
  }

  async #more() {
    if (!this.#item) return;
    const size = this.#item.candidates.length;
    let offset = this.#offset + size;
    if (offset >= this.#item.total) offset = 0; // round again
    if (offset === this.#offset) return;
    const { tracklet } = this.#item;
    const answer = await attempt(() => post("/api/candidates", { tracklet, offset }));
    if (!answer || this.#item.tracklet !== tracklet) return;
    this.#offset = offset;
    this.#item.candidates = answer.candidates;
    this.#item.total = answer.total;
    this.#chosen = 0;
    this.#draw();
  }

  async #strip() {
    if (this.#item && (await showStrip(this.#item.tracklet, this.#item.seen))) this.show();
  }

  #frame() {
    const { flight, tracklet, crops } = this.#item ?? { crops: [] };
    if (crops.length) showFrame(flight, crops[Math.floor(crops.length / 2)].frame, [tracklet]);
  }

  #draw() {
    const item = this.#item;
    if (!item) {
      this.main.replaceChildren(
        h(
          "section",
          { class: "empty" },
          h("h1", {}, "Nothing is left to label."),
          h(
            "p",
            {},
            "Others may still hold a few tracklets. Look through the ",
            key("G"),
            " gallery and the ",
            key("C"),
            " checks, then run ",
            h("code", {}, "uavpipe dataset"),
            ".",
          ),
        ),
      );
      return;
    }
    this.main.replaceChildren(h("section", { class: "queue" }, this.#question(item), this.#answers(item)));
    this.#highlight();
  }

  #question(item) {
    const seconds = (item.times[1] - item.times[0]).toFixed(1);
    return h(
      "article",
      { class: "question", "aria-label": "The tracklet to label" },
      h("h1", {}, item.second_look ? "A second look: who is this?" : "Who is this?"),
      h("p", { class: "quiet" }, `${item.tracklet} · ${plural(item.detections, "detection")} · ${seconds} s`),
      h(
        "div",
        { class: "crops large" },
        item.crops.map((crop) => picture(crop, item.tracklet)),
      ),
      h(
        "div",
        { class: "actions", role: "group", "aria-label": "Answers" },
        action("N", "new person", () => this.#isNew(), { class: "primary" }),
        action("S", "skip", () => this.#mark("skipped")),
        action("J", "junk", () => this.#mark("junk")),
        action("X", "distractor", () => this.#mark("distractor")),
        item.second_look ? null : action("V", "all crops, split", () => this.#strip()),
        action("F", "frame", () => this.#frame()),
      ),
    );
  }

  #answers(item) {
    const last = this.#offset + item.candidates.length;
    const several = item.total > item.candidates.length;
    return h(
      "article",
      { class: "answers", "aria-label": "Who it might be" },
      h(
        "div",
        { class: "row" },
        h("h2", {}, item.candidates.length ? "Same as …" : "Nobody it could be yet"),
        h("span", { class: "quiet" }, several ? `${this.#offset + 1} to ${last} of ${item.total}` : ""),
        several ? action("M", "more", () => this.#more()) : null,
        item.candidates.length ? action("D", "different", () => this.#move(1)) : null,
      ),
      h(
        "ol",
        { class: this.#offset ? "candidates many" : "candidates" },
        item.candidates.map((candidate, place) => this.#card(candidate, place)),
      ),
    );
  }

  #card(candidate, place) {
    const share = Math.max(0, Math.min(1, candidate.similarity));
    const what = identityName(candidate);
    return h(
      "li",
      {},
      h(
        "button",
        { type: "button", class: "card", onclick: () => this.#same(place), "aria-label": `Same as ${what}` },
        h(
          "span",
          { class: "row" },
          place < KEYS ? key(String(place + 1)) : null,
          h("strong", {}, what),
          h("span", { class: "quiet" }, candidate.flights.join(", ")),
        ),
        h(
          "span",
          { class: "crops" },
          candidate.crops.slice(0, SHOWN).map((crop) => picture(crop, what)),
        ),
        h("meter", {
          min: 0,
          max: 1,
          value: share,
          title: `similarity ${candidate.similarity.toFixed(2)}`,
          "aria-label": "similarity",
        }),
      ),
    );
  }

  #highlight() {
    this.main.querySelectorAll(".card").forEach((card, place) => {
      card.classList.toggle("chosen", place === this.#chosen);
      if (place === this.#chosen) {
        card.setAttribute("aria-current", "true");
        card.scrollIntoView({ block: "nearest" });
      } else card.removeAttribute("aria-current");
    });
  }
}
