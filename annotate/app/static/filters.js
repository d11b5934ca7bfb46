// Filters of the queue and the gallery: by flight, time, kind of label, tag. They are part of the address.

import { session } from "./api.js";
import { h } from "./dom.js";

const TIME = "By the wall clock where that of the flight is known, else in the video";

// `fields`: those of FIELDS that are offered. `change` is called with the query that was chosen.
export function filterBar(query, fields, change) {
  const set = (name) => (event) => change({ ...query, [name]: event.target.value });
  return h(
    "div",
    { class: "filters row", role: "group", "aria-label": "Filters" },
    Object.entries(fields).map(([name, options]) => FIELDS[name](query[name] ?? "", set(name), options)),
    Object.keys(fields).some((name) => query[name])
      ? h("button", { type: "button", onclick: () => change(without(query, fields)) }, "no filter")
      : null,
  );
}

function without(query, fields) {
  return Object.fromEntries(Object.entries(query).filter(([name]) => !(name in fields)));
}

const FIELDS = {
  flight: (value, onchange) =>
    session.flights.length > 1
      ? choice("Flight", value, onchange, [["", "all flights"], ...session.flights.map((each) => [each, each])])
      : null,
  begin: (value, onchange) => clock("from", value, onchange),
  end: (value, onchange) => clock("to", value, onchange),
  kind: (value, onchange, options) => choice("Kind of label", value, onchange, options),
  tag: (value, onchange, tags) => {
    const gone = value && !tags.some(([tag]) => tag === value) ? [[value, value]] : [];
    const options = [["", "all tags"], ...tags, ...gone];
    return options.length > 1 ? choice("Tag", value, onchange, options) : null;
  },
  person: (value, onchange) =>
    h(
      "label",
      { title: "What is most similar to this person comes first" },
      "like person ",
      h("input", { type: "number", min: 1, value, onchange, class: "short" }),
    ),
};

function choice(what, value, onchange, options) {
  return h(
    "select",
    { "aria-label": what, onchange },
    options.map(([each, text]) => h("option", { value: each, selected: each === value }, text)),
  );
}

function clock(what, value, onchange) {
  return h("label", { title: TIME }, `${what} `, h("input", { type: "time", step: 1, value, onchange }));
}
