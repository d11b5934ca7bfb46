// The gallery: all identities as a wall, or the tracklets of another label. Merge by dragging or selecting.

import { attempt, get, newest } from "./api.js";
import { action, h, identityName, inPlainWords, picture, plural, toast } from "./dom.js";
import { filterBar } from "./filters.js";
import { mergePeople, renamePerson } from "./people.js";
import { go, link, linkToPerson, linkToTracklet, readdress } from "./route.js";
import { Walk } from "./walk.js";

const PAGE = 60;
const ROOMY = 820; // px; on a smaller screen the filters are folded away
const KINDS = [
  ["", "people"],
  ["open", "without a label"],
  ["skipped", "not sure"],
  ["junk", "not a person"],
  ["distractor", "distractors"],
];

export class Gallery {
  #identities = []; // or tracklets, where the filter asks for another label
  #total = 0;
  #tags = [];
  #walk = new Walk(() => this.#cards(), { beyond: () => this.#loadMore() });
  #selected = new Set();

  constructor(main) {
    this.main = main;
    this.keys = {
      ...this.#walk.keys,
      " ": () => this.#select(this.#walk.at),
      Enter: () => this.#open(this.#walk.at),
      m: () => this.#mergeSelected(),
      r: () => this.#rename(this.#walk.at),
      "/": () => this.main.querySelector("input[type=search]")?.focus(),
      Escape: () => this.#clear(),
    };
  }

  async show() {
    const found = await attempt(() => get("/api/tags"));
    this.#tags = Object.entries(found?.tags ?? {}).map(([tag, count]) => [tag, `${tag} (${count})`]);
    this.#draw();
    await this.#load(Math.max(PAGE, this.#identities.length));
  }

  get #find() {
    return this.route.query.find ?? "";
  }

  get #kind() {
    return this.route.query.kind ?? "";
  }

  async #load(count, offset = 0) {
    const { tag, ...others } = this.route.query;
    const wanted = { ...others, ...(tag && !this.#kind ? { tag } : {}), offset, limit: Math.min(count, 500) };
    const path = this.#kind ? "tracklets" : "identities";
    const answer = await newest(this, () => get(`/api/${path}?${new URLSearchParams(wanted)}`));
    if (!answer) return;
    this.#identities = offset ? this.#identities.concat(answer[path]) : answer[path];
    this.#total = answer.total;
    const there = new Set(this.#identities.map((each) => each.identity));
    for (const number of this.#selected) if (!there.has(number)) this.#selected.delete(number);
    this.#fill();
  }

  #draw() {
    const search = h("input", {
      type: "search",
      placeholder: "Name, number, tag ( / )",
      "aria-label": "Find a name, a number or a tag",
      value: this.#find,
    });
    search.addEventListener("input", () => {
      const { find, ...others } = this.route.query;
      this.route.query = search.value ? { ...others, find: search.value } : others;
      readdress(link("gallery", [], this.route.query));
      this.#walk.at = 0;
      this.#load(PAGE);
    });
    search.addEventListener("keydown", (event) => {
      if (event.key === "Enter" || event.key === "Escape") this.#walk.to(this.#walk.at);
    });
    this.main.replaceChildren(
      h(
        "section",
        { class: "gallery" },
        h(
          "div",
          { class: "row" },
          h("h1", {}, this.#kind ? "Tracklets" : "Identities"),
          search,
          h("span", { class: "quiet", id: "gallery-count", role: "status" }),
          action("M", "merge selected", () => this.#mergeSelected(), { id: "merge" }),
          action("R", "rename", () => this.#rename(this.#walk.at)),
          action("↵", "open", () => this.#open(this.#walk.at)),
        ),
        this.#filters(),
        h("ul", { class: "wall", "aria-label": "Identities" }),
        action("↓", "show more", () => this.#loadMore(), { id: "more", hidden: true }),
      ),
    );
  }

  #filters() {
    const tags = this.#kind ? {} : { tag: this.#tags };
    const fields = { flight: true, begin: true, end: true, kind: KINDS, ...tags };
    const bar = filterBar(this.route.query, fields, (query) => {
      this.#walk.at = 0;
      this.#selected.clear();
      go(link("gallery", [], query));
    });
    const open = this.#filtered || innerWidth >= ROOMY;
    return h("details", { class: "narrow", open }, h("summary", {}, "Filter"), bar);
  }

  get #filtered() {
    return Object.values(this.route.query).some(Boolean);
  }

  #fill() {
    const wall = this.main.querySelector(".wall");
    if (!wall) return;
    const card = this.#kind ? trackletCard : (identity, place) => this.#card(identity, place);
    wall.replaceChildren(...this.#identities.map(card));
    if (!this.#identities.length)
      wall.append(
        h(
          "li",
          { class: "empty" },
          this.#filtered ? "Nobody fits." : "Nobody yet: label some tracklets first.",
        ),
      );
    this.main.querySelector("#more").hidden = this.#identities.length >= this.#total;
    this.#count();
    // An answer that comes while the user types must not take the keyboard focus from the search.
    const typing = document.activeElement === this.main.querySelector("input[type=search]");
    this.#walk.to(this.#walk.at, { focus: !typing });
  }

  #card(identity, place) {
    const name = identityName(identity);
    const card = h(
      "button",
      {
        type: "button",
        class: "card",
        draggable: "true",
        "aria-pressed": String(this.#selected.has(identity.identity)),
        data: { identity: identity.identity },
        onclick: (event) => {
          this.#walk.to(place);
          if (event.ctrlKey || event.metaKey || event.shiftKey) this.#select(place);
        },
        ondblclick: () => this.#open(place),
        ondragstart: (event) => event.dataTransfer.setData("text/plain", String(identity.identity)),
        ondragover: (event) => {
          event.preventDefault();
          card.classList.add("target");
        },
        ondragleave: () => card.classList.remove("target"),
        ondrop: (event) => {
          event.preventDefault();
          card.classList.remove("target");
          this.#merge([Number(event.dataTransfer.getData("text/plain"))], identity.identity);
        },
      },
      h("span", { class: "row" }, h("strong", {}, name)),
      identity.tags.length ? h("small", { class: "tags" }, identity.tags.join(", ")) : null,
      h(
        "span",
        { class: "crops" },
        identity.crops.slice(0, 3).map((crop) => picture(crop, "")),
      ),
      h(
        "small",
        { class: "quiet" },
        `${plural(identity.tracklets, "tracklet")} · ${plural(identity.flights.length, "flight")}`,
      ),
    );
    // A finger has no Ctrl key and no Space.
    const pick = h(
      "button",
      {
        type: "button",
        class: "pick",
        "aria-pressed": String(this.#selected.has(identity.identity)),
        onclick: () => this.#select(place),
      },
      "select",
      h("span", { class: "unseen" }, ` ${name}`),
    );
    return h("li", {}, card, pick);
  }

  #cards() {
    return [...this.main.querySelectorAll(".wall .card")];
  }

  #loadMore() {
    if (this.#identities.length < this.#total) return this.#load(PAGE, this.#identities.length);
  }

  #select(place) {
    const number = this.#identities[place]?.identity;
    if (number === undefined) return; // a tracklet cannot be merged
    if (!this.#selected.delete(number)) this.#selected.add(number);
    this.#markSelected();
    this.#count();
  }

  #clear() {
    this.#selected.clear();
    this.#markSelected();
    this.#count();
  }

  #markSelected() {
    this.#identities.forEach(({ identity }, place) => {
      const item = this.#cards()[place].parentElement;
      for (const button of item.children) button.setAttribute("aria-pressed", String(this.#selected.has(identity)));
    });
  }

  #count() {
    const chosen = this.#selected.size ? `, ${this.#selected.size} selected` : "";
    const what = this.#kind ? ["tracklet"] : ["identity", "identities"];
    this.main.querySelector("#gallery-count").textContent = plural(this.#total, ...what) + chosen;
    this.main.querySelector("#merge").disabled = this.#selected.size < 2;
  }

  #mergeSelected() {
    const [into, ...sources] = [...this.#selected].sort((one, other) => one - other);
    if (!sources.length) return toast("Select two or more people first (Space, or select).");
    this.#clear(); // at once: the key may be pressed again before the question is away
    return this.#merge(sources, into);
  }

  async #merge(sources, into) {
    for (const source of sources) {
      if (source === into || !source) continue;
      if (!(await mergePeople(source, into))) break;
    }
    await this.#load(Math.max(PAGE, this.#identities.length));
  }

  async #rename(place) {
    const identity = this.#identities[place];
    if (!identity || this.#kind) return;
    if (await renamePerson(identity)) await this.#load(Math.max(PAGE, this.#identities.length));
    else this.#walk.to(this.#walk.at);
  }

  #open(place) {
    const chosen = this.#identities[place];
    if (chosen) go(this.#kind ? linkToTracklet(chosen.tracklet) : linkToPerson(chosen.identity));
  }
}

function trackletCard({ tracklet, label, crops, detections }) {
  return h(
    "li",
    {},
    h(
      "a",
      { class: "card", href: linkToTracklet(tracklet) },
      h("strong", {}, tracklet),
      h(
        "span",
        { class: "crops" },
        crops.slice(0, 3).map((crop) => picture(crop, "")),
      ),
      h("small", { class: "quiet" }, `${inPlainWords(label)} · ${plural(detections, "detection")}`),
    ),
  );
}
