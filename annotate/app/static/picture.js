// Find by picture: who in the workspace looks like the person in a picture, or in a crop.

import { attempt, postPicture, get, session } from "./api.js";
import { action, h, identityName, moved, picture, say, toast } from "./dom.js";
import { linkToPerson, linkToTracklet } from "./route.js";

const MOST = 20e6; // bytes, as the server takes
const SHOWN = 4; // crops of an answer

export class PictureSearch {
  #file = null; // the picture that is searched for
  #shown = ""; // its address in this window

  constructor(main) {
    this.main = main;
    this.keys = { o: () => this.main.querySelector("input[type=file]").click() };
  }

  async show() {
    this.#forget();
    moved();
    this.#draw();
    const { crop } = this.route.query;
    if (crop) await this.#searchCrop(crop);
  }

  #forget() {
    if (this.#shown) URL.revokeObjectURL(this.#shown);
    this.#file = null;
    this.#shown = "";
  }

  #draw() {
    const input = h("input", {
      type: "file",
      accept: "image/jpeg,image/png,image/webp",
      hidden: true, // there is a button for it
      "aria-label": "A picture of a person",
      onchange: () => input.files[0] && this.#take(input.files[0]),
    });
    const zone = h(
      "article",
      {
        class: "panel drop",
        "aria-label": "The picture",
        ondragover: (event) => {
          event.preventDefault();
          zone.classList.add("target");
        },
        ondragleave: () => zone.classList.remove("target"),
        ondrop: (event) => {
          event.preventDefault();
          zone.classList.remove("target");
          const [file] = event.dataTransfer.files;
          if (file) this.#take(file);
        },
      },
      h("h1", {}, "Who looks like this person?"),
      h("p", { class: "quiet" }, "Drop a picture here, or choose one. It stays on this server and is not kept."),
      h("div", { class: "row" }, action("O", "choose a picture", () => input.click()), input),
      h("div", { class: "asked-for" }),
    );
    this.main.replaceChildren(
      h(
        "section",
        { class: "person" },
        zone,
        h("article", { class: "panel", "aria-label": "Who it may be", id: "answers", "aria-live": "polite" }),
      ),
    );
  }

  #take(file) {
    if (!["image/jpeg", "image/png", "image/webp"].includes(file.type))
      return toast("Expected a JPEG, PNG or WebP picture.", "error");
    if (file.size > MOST) return toast(`Expected a picture of ${MOST / 1e6} MB at most.`, "error");
    this.#forget();
    this.#file = file;
    this.#shown = URL.createObjectURL(file);
    return this.#searchPicture();
  }

  async #searchPicture(box = null) {
    const place = this.main.querySelector(".asked-for");
    const image = h("img", { src: this.#shown, alt: "The picture to search for" });
    const holder = h("div", { class: "frame" }, image);
    place.replaceChildren(holder);
    const query = new URLSearchParams({ user: session.user, ...(box ? { box: box.join(",") } : {}) });
    const found = await this.#searching(() => postPicture(`/api/find?${query}`, this.#file));
    if (!found) return;
    if (found.choose.length) this.#choose(holder, found);
    else this.#tell(found);
  }

  // Several persons: one of their boxes is chosen.
  #choose(holder, { choose, size: [width, height] }) {
    const text = `The picture shows ${choose.length} people: choose one.`;
    this.main.querySelector("#answers").replaceChildren(h("h2", {}, text));
    choose.forEach(([x1, y1, x2, y2], place) => {
      const percent = (value, of) => `${(100 * value) / of}%`;
      const style = {
        left: percent(x1, width),
        top: percent(y1, height),
        width: percent(x2 - x1, width),
        height: percent(y2 - y1, height),
      };
      const whole = [Math.max(0, x1), Math.max(0, y1), x2, y2].map((each) => each.toFixed(1));
      holder.append(
        h("button", {
          type: "button",
          class: "box choice",
          style,
          "aria-label": `Person ${place + 1} of ${choose.length} in the picture`,
          onclick: () => this.#searchPicture(whole),
        }),
      );
    });
  }

  async #searchCrop(crop) {
    const path = crop.split("/").map(encodeURIComponent).join("/");
    const image = h("img", { src: `/api/crops/${path}.jpg`, alt: "The crop to search for" });
    this.main.querySelector(".asked-for").replaceChildren(h("div", { class: "crops large" }, image));
    const query = new URLSearchParams({ user: session.user });
    const found = await this.#searching(() => get(`/api/find/${path}?${query}`));
    if (found) this.#tell(found);
  }

  async #searching(work) {
    const place = this.main.querySelector("#answers");
    place.replaceChildren(h("h2", {}, "Searching …"));
    const found = await attempt(work);
    if (!found) place.replaceChildren(h("h2", {}, "No answer."));
    return found;
  }

  // As `uavpipe find` says it: what is below the threshold is shown to those who ask for it.
  #tell({ answers, anybody, nobody, note }) {
    const heading = anybody ? "They look like this person" : nobody;
    const unlikely = answers.filter((each) => !each.likely);
    const summary = `unlikely, the most similar first: ${unlikely.length}`;
    const parts = [
      h("h2", {}, heading),
      cards(answers.filter((each) => each.likely)),
      unlikely.length ? h("details", {}, h("summary", {}, summary), cards(unlikely)) : "",
      note ? h("p", { class: "quiet" }, `note: ${note}`) : "",
    ];
    this.main.querySelector("#answers").replaceChildren(...parts);
    say(heading);
  }
}

function cards(answers) {
  return h(
    "ol",
    { class: "candidates" },
    answers.map((each) => h("li", {}, answerCard(each))),
  );
}

function answerCard({ person, tracklet, flights, similarity, right, likely }) {
  const name = person ? identityName(person) : tracklet.tracklet;
  const { crops } = tracklet;
  const middle = Math.max(0, Math.floor((crops.length - SHOWN) / 2));
  const sure = right === null ? "" : `right ${Math.round(100 * right)} %`;
  return h(
    "a",
    {
      class: likely ? "card" : "card apart",
      href: person ? linkToPerson(person.identity) : linkToTracklet(tracklet.tracklet),
    },
    h("span", { class: "row" }, h("strong", {}, name), h("span", { class: "quiet" }, flights.join(", "))),
    h(
      "span",
      { class: "crops" },
      crops.slice(middle, middle + SHOWN).map((crop) => picture(crop, "")),
    ),
    h(
      "small",
      {},
      [sure, likely ? "" : "unlikely", `similarity ${similarity.toFixed(3)}`].filter(Boolean).join(" · "),
    ),
  );
}
