// The checks: what looks wrong in the labels, to be corrected or accepted.

import { decide, get, newest } from "./api.js";
import { action, h, identityName, key, moved, picture, plural, toast } from "./dom.js";
import { showFrame } from "./frame.js";
import { showLightbox } from "./lightbox.js";
import { showStrip } from "./strip.js";

const KINDS = {
  twice: "Twice in a frame",
  speed: "Too fast",
  disagreement: "Called something else",
  questioned: "Questioned in a review",
  unlike: "Looks like another",
  duplicate: "Two that look like one",
};
const DIGITS = 9; // corrections that a digit chooses

export class Findings {
  #page = { findings: [], total: 0, kinds: {}, page: 1, seen: 0 };
  #kind = "";
  #offset = 0;
  #at = 0;

  constructor(main) {
    this.main = main;
    this.keys = {
      ArrowDown: () => this.#move(1),
      ArrowUp: () => this.#move(-1),
      PageDown: () => this.#turn(1),
      PageUp: () => this.#turn(-1),
      Enter: () => this.#correct(0),
      a: () => this.#accept(),
      v: () => this.#split(this.#finding?.odd),
      f: () => this.#frame(),
      l: () => this.#lookCloser(),
    };
    for (let digit = 1; digit <= DIGITS; digit++) this.keys[digit] = () => this.#correct(digit - 1);
  }

  async show() {
    const query = new URLSearchParams({ offset: this.#offset, kind: this.#kind });
    const answer = await newest(this, () => get(`/api/findings?${query}`));
    if (!answer) return;
    if (this.#offset && this.#offset >= answer.total) {
      this.#offset = Math.floor(Math.max(0, answer.total - 1) / answer.page) * answer.page; // the last page is done
      return this.show();
    }
    if (this.#kind && !answer.total) {
      this.#kind = ""; // all of this kind are done
      return this.show();
    }
    this.#page = answer;
    this.#at = Math.max(0, Math.min(this.#at, answer.findings.length - 1));
    this.#draw();
  }

  get #finding() {
    return this.#page.findings[this.#at];
  }

  #move(step) {
    this.#at = Math.max(0, Math.min(this.#page.findings.length - 1, this.#at + step));
    this.#draw();
  }

  #turn(pages) {
    const offset = this.#offset + pages * this.#page.page;
    if (offset < 0 || offset >= this.#page.total) return;
    this.#offset = offset;
    this.#at = 0;
    return this.show();
  }

  #filter(kind) {
    this.#kind = kind;
    this.#offset = this.#at = 0;
    return this.show();
  }

  async #decide(operation, what) {
    if (await decide(operation, { seen: this.#page.seen })) toast(what);
    await this.show();
  }

  #correct(place) {
    const chosen = this.#finding?.corrections[place];
    if (chosen) this.#decide(chosen.operation, `${chosen.label}; Z takes it back`);
  }

  #accept() {
    if (this.#finding) this.#decide({ op: "accept", finding: this.#finding.key }, "right as it is");
  }

  async #split(tracklet) {
    if (tracklet && (await showStrip(tracklet, this.#page.seen))) await this.show();
  }

  #frame() {
    const { tracklets = [], frame } = this.#finding ?? {};
    const meant = tracklets.map((each) => each.tracklet);
    if (meant.length) showFrame(tracklets[0].flight, frame ?? tracklets[0].crops[0].frame, meant);
  }

  // The first two that it is about; from crop `at` of `name` on, that one first.
  #lookCloser(name, at) {
    const { tracklets = [], identities = [] } = this.#finding ?? {};
    const sides = [
      ...tracklets.map(({ tracklet, crops }) => ({ name: tracklet, crops })),
      ...identities.map((each) => ({ name: identityName(each), crops: each.crops })).reverse(),
    ];
    const first = sides.find((each) => each.name === name) ?? sides[0];
    if (first) return showLightbox([{ ...first, at }, ...sides.filter((each) => each !== first)].slice(0, 2));
  }

  #draw() {
    moved();
    if (!this.#page.findings.length) {
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
          h("div", { class: "row" }, h("h1", {}, plural(this.#page.total, "finding")), this.#choice()),
          h(
            "ol",
            { class: "list", start: this.#offset + 1 },
            this.#page.findings.map((finding, place) => this.#row(finding, place)),
          ),
          this.#pages(),
        ),
        this.#detail(this.#finding),
      ),
    );
    this.main.querySelector(".list .chosen")?.focus();
  }

  // All kinds, or one of them.
  #choice() {
    const { kinds } = this.#page;
    const total = Object.values(kinds).reduce((sum, count) => sum + count, 0);
    const options = [["", `All kinds (${total.toLocaleString("en")})`]];
    for (const [kind, count] of Object.entries(kinds))
      options.push([kind, `${KINDS[kind] ?? kind} (${count.toLocaleString("en")})`]);
    return h(
      "select",
      { "aria-label": "Kind of findings", onchange: (event) => this.#filter(event.target.value) },
      options.map(([value, text]) => h("option", { value, selected: value === this.#kind }, text)),
    );
  }

  #pages() {
    const { total, page, findings } = this.#page;
    if (total <= page) return null;
    const last = this.#offset + findings.length;
    const shown = `${(this.#offset + 1).toLocaleString("en")} to ${last.toLocaleString("en")}`;
    return h(
      "div",
      { class: "row", role: "group", "aria-label": "Pages" },
      action("PgUp", "before", () => this.#turn(-1), { disabled: !this.#offset }),
      h("span", { class: "quiet" }, `${shown} of ${total.toLocaleString("en")}`),
      action("PgDn", "next", () => this.#turn(1), { disabled: last >= total }),
    );
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
    return h(
      "article",
      { "aria-label": "What it is about" },
      h("h2", {}, finding.message),
      finding.tracklets.map((each) => this.#tracklet(each, finding)),
      finding.identities.map((each) => {
        const name = identityName(each);
        return this.#crops(h("h3", {}, name), each.crops, name);
      }),
      h(
        "div",
        { class: "actions", role: "group", "aria-label": "Corrections" },
        finding.corrections.map(({ label }, place) =>
          action(place ? String(place + 1) : "↵", label, () => this.#correct(place), {
            class: place ? "" : "primary",
          }),
        ),
        action("A", "right as it is", () => this.#accept()),
        finding.tracklets.length ? action("F", "frame", () => this.#frame()) : null,
        action("L", "look closer", () => this.#lookCloser()),
      ),
    );
  }

  #tracklet({ tracklet, crops }, { odd, tracklets }) {
    const isOdd = tracklet === odd;
    const heading = h(
      "div",
      { class: "row" },
      h("h3", {}, tracklet),
      isOdd && tracklets.length > 1 ? h("span", { class: "why" }, "would be taken out") : null,
      h(
        "button",
        { type: "button", onclick: () => this.#split(tracklet) },
        isOdd ? [key("V"), " "] : null,
        `all crops, split ${tracklet}`,
      ),
    );
    return this.#crops(heading, crops, tracklet);
  }

  #crops(heading, crops, name) {
    return h(
      "section",
      {},
      heading,
      h(
        "div",
        { class: "crops" },
        crops.map((crop, place) => picture(crop, name, () => this.#lookCloser(name, place))),
      ),
    );
  }
}
