// The checks: what looks wrong in the labels, to be corrected or accepted.

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

export class Findings {
  #findings = [];
  #total = 0;
  #seen = 0;
  #at = 0;

  constructor(main) {
    this.main = main;
    this.keys = {
      ArrowDown: () => this.#move(1),
      ArrowUp: () => this.#move(-1),
      Enter: () => this.#correct(),
      a: () => this.#accept(),
      f: () => this.#frame(),
    };
  }

  async show() {
    const answer = await attempt(() => get("/api/findings"));
    if (!answer) return;
    this.#findings = answer.findings;
    this.#total = answer.total;
    this.#seen = answer.seen;
    this.#at = Math.max(0, Math.min(this.#at, this.#findings.length - 1));
    this.#draw();
  }

  get #finding() {
    return this.#findings[this.#at];
  }

  #move(step) {
    this.#at = Math.max(0, Math.min(this.#findings.length - 1, this.#at + step));
    this.#draw();
  }

  async #decide(operation, what) {
    if (await decide(operation, { seen: this.#seen })) toast(what);
    await this.show();
  }

  #correct() {
    if (this.#finding) this.#decide(this.#finding.correction, `${this.#finding.correction_label}; Z takes it back`);
  }

  #accept() {
    if (this.#finding) this.#decide({ op: "accept", finding: this.#finding.key }, "right as it is");
  }

  #frame() {
    const { tracklets = [], frame } = this.#finding ?? {};
    const meant = tracklets.map((each) => each.tracklet);
    if (meant.length) showFrame(tracklets[0].flight, frame ?? tracklets[0].crops[0].frame, meant);
  }

  #draw() {
    if (!this.#findings.length) {
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
        { class: "findings" },
        h(
          "div",
          {},
          h("h1", {}, plural(this.#total, "finding")),
          h(
            "ol",
            { class: "list" },
            this.#findings.map((finding, place) => this.#row(finding, place)),
          ),
        ),
        this.#detail(this.#finding),
      ),
    );
    this.main.querySelector(".list .chosen")?.focus();
  }

  #row(finding, place) {
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
        h("strong", {}, KINDS[finding.kind] ?? finding.kind),
        h("span", {}, finding.message),
      ),
    );
  }

  #detail(finding) {
    const groups = [
      ...finding.tracklets.map((each) => [each.tracklet, each.crops]),
      ...finding.identities.map((each) => [identityName(each), each.crops]),
    ];
    return h(
      "article",
      { "aria-label": "What it is about" },
      h("h2", {}, finding.message),
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
        action("↵", finding.correction_label, () => this.#correct(), { class: "primary" }),
        action("A", "right as it is", () => this.#accept()),
        finding.tracklets.length ? action("F", "frame", () => this.#frame()) : null,
      ),
    );
  }
}
