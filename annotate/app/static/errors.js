// What looks wrong in the labels: mend it, or say that it is right.

import { attempt, decide, get } from "./api.js";
import { action, h, identityName, key, picture, plural, toast } from "./dom.js";
import { showFrame } from "./frame.js";

const KINDS = {
  twice: "Twice in a frame",
  speed: "Too fast",
  unlike: "Looks like another",
  duplicate: "Two that look like one",
  disagreement: "Called something else",
};

export class Errors {
  #errors = [];
  #total = 0;
  #seen = 0;
  #at = 0;

  constructor(main) {
    this.main = main;
    this.keys = {
      ArrowDown: () => this.#move(1),
      ArrowUp: () => this.#move(-1),
      Enter: () => this.#mend(),
      a: () => this.#accept(),
      f: () => this.#frame(),
    };
  }

  async show() {
    const answer = await attempt(() => get("/api/errors"));
    if (!answer) return;
    this.#errors = answer.errors;
    this.#total = answer.total;
    this.#seen = answer.seen;
    this.#at = Math.max(0, Math.min(this.#at, this.#errors.length - 1));
    this.#draw();
  }

  get #error() {
    return this.#errors[this.#at];
  }

  #move(step) {
    this.#at = Math.max(0, Math.min(this.#errors.length - 1, this.#at + step));
    this.#draw();
  }

  async #decide(operation, what) {
    if (await decide(operation, { seen: this.#seen })) toast(what);
    await this.show();
  }

  #mend() {
    if (this.#error) this.#decide(this.#error.mend, `${this.#error.mend_label}; Z takes it back`);
  }

  #accept() {
    if (this.#error) this.#decide({ op: "accept", finding: this.#error.key }, "right as it is");
  }

  #frame() {
    const { tracklets = [], frame } = this.#error ?? {};
    const meant = tracklets.map((each) => each.tracklet);
    if (meant.length) showFrame(tracklets[0].flight, frame ?? tracklets[0].crops[0].frame, meant);
  }

  #draw() {
    if (!this.#errors.length) {
      this.main.replaceChildren(
        h(
          "section",
          { class: "empty" },
          h("h1", {}, "Nothing looks wrong."),
          h("p", {}, "Go on in the ", key("Q"), " queue."),
        ),
      );
      return;
    }
    this.main.replaceChildren(
      h(
        "section",
        { class: "errors" },
        h(
          "div",
          {},
          h("h1", {}, plural(this.#total, "thing"), " to look at"),
          h(
            "ol",
            { class: "list" },
            this.#errors.map((error, place) => this.#row(error, place)),
          ),
        ),
        this.#detail(this.#error),
      ),
    );
    this.main.querySelector(".list .chosen")?.focus();
  }

  #row(error, place) {
    const chosen = place === this.#at;
    return h(
      "li",
      {},
      h(
        "button",
        {
          type: "button",
          class: `finding ${chosen ? "chosen" : ""}`,
          "aria-current": chosen ? "true" : null,
          onclick: () => this.#move(place - this.#at),
        },
        h("strong", {}, KINDS[error.kind] ?? error.kind),
        h("span", {}, error.message),
      ),
    );
  }

  #detail(error) {
    const groups = [
      ...error.tracklets.map((each) => [each.tracklet, each.crops]),
      ...error.identities.map((each) => [identityName(each), each.crops]),
    ];
    return h(
      "article",
      { "aria-label": "What it is about" },
      h("h2", {}, error.message),
      groups.map(([name, crops]) =>
        h(
          "section",
          {},
          h("h3", {}, name),
          h(
            "div",
            { class: "crops" },
            crops.map((crop) => picture(crop, name)),
          ),
        ),
      ),
      h(
        "div",
        { class: "actions" },
        action("↵", error.mend_label, () => this.#mend(), { class: "primary" }),
        action("A", "right as it is", () => this.#accept()),
        error.tracklets.length ? action("F", "frame", () => this.#frame()) : null,
      ),
    );
  }
}
