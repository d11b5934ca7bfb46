// What is decided about people in several views: their names, and that two are one.

import { attempt, decide, get } from "./api.js";
import { dialog, h, identityName, picture, toast, topDialog } from "./dom.js";
import { askThough } from "./frame.js";

// Resolves to whether `source` is `into` now.
export async function mergePeople(source, into) {
  const known = await attempt(() => get(`/api/together/${source}/${into}`));
  if (!known) return false;
  const question = `Are person ${source} and person ${into} one person all the same?`;
  if (known.together && !(await askThough(question, known.together))) return false;
  if (!(await decide({ op: "merge", source, into }))) return false;
  toast(`${source} is ${into}; Z takes it back`);
  return true;
}

// Resolves to whether a name was given.
export async function renamePerson({ identity, name }) {
  const input = h("input", { type: "text", value: name, maxlength: 200, "aria-label": "Name", autofocus: true });
  const given = await ask(`Name of person ${identity}`, input, "Rename");
  if (given === null) return false;
  await decide({ op: "rename", identity, name: given.trim() });
  return true;
}

// Resolves to the number of somebody to merge `person` with; null for nobody.
export async function chooseOther(person) {
  const found = await attempt(() => get(`/api/identities/${person.identity}/alike`));
  if (!found) return null;
  let chosen = null;
  const choose = (number) => () => {
    chosen = number;
    topDialog().box.close();
  };
  const card = (each) =>
    h(
      "button",
      { type: "button", class: "card", onclick: choose(each.identity) },
      h("strong", {}, identityName(each)),
      h(
        "span",
        { class: "crops" },
        each.crops.slice(0, 3).map((crop) => picture(crop, "")),
      ),
    );
  const number = h("input", { type: "number", min: 1, "aria-label": "Number of the person", class: "short" });
  const form = h(
    "form",
    {
      class: "actions",
      onsubmit: (event) => {
        event.preventDefault();
        if (number.value) choose(Number(number.value))();
      },
    },
    "or number ",
    number,
    h("button", { class: "primary" }, "Merge"),
  );
  const alike = found.alike.length
    ? "Those who look most alike, never seen together:"
    : "All others were seen together with them.";
  const wall = h(
    "ul",
    { class: "wall" },
    found.alike.map((each) => h("li", {}, card(each))),
  );
  await dialog(`${identityName(person)} is the same as …`, h("div", {}, h("p", {}, alike), wall, form));
  return chosen;
}

// Resolves to what is typed; null where the dialog was closed.
export async function ask(title, input, what) {
  const form = h(
    "form",
    { method: "dialog", class: "actions", onsubmit: () => (form.closest("dialog").returnValue = "yes") },
    input,
    h("button", { class: "primary", value: "yes" }, what),
  );
  return (await dialog(title, form)) === "yes" ? input.value : null;
}
