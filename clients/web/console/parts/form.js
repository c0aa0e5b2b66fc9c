/** Asks for values in a dialog, before an action or for a filter. */

import { words } from "../app/api.js";
import { button, h, setText } from "../app/dom.js";
import { openDialog } from "./dialog.js";

/**
 * @typedef {object} Field
 * @property {string} name
 * @property {string} label
 * @property {"text" | "number" | "textarea" | "select" | "checkbox" | "password"} [kind] text by default
 * @property {string} [hint]
 * @property {any} [value] to begin with
 * @property {boolean} [optional] an empty one becomes null
 * @property {[value: string, label: string][]} [options] of a select
 * @property {number} [min]
 * @property {number} [max] of a number; of a text, the most characters
 * @property {number} [step] of a number
 * @property {string} [pattern]
 *
 * @typedef {object} Form `send`: what is done with the values; as long as it fails the dialog stays, and says why
 * @property {string} title
 * @property {string} [intro]
 * @property {Node} [more] shown below it
 * @property {Field[]} fields
 * @property {string} [submit]
 * @property {(values: Record<string, any>) => Promise<any>} [send]
 */

let made = 0;

/** The values by name, or what `send` made of them; null if it was closed. @param {Form} form @returns {Promise<Record<string, any> | null>} */
export function ask({ title, intro = "", more, fields, submit = "Continue", send: make }) {
  return new Promise((answer) => {
    /** @type {Record<string, any> | null} */
    let given = null;
    const id = `form-${(made += 1)}`;
    const rows = fields.map((field) => row(id, field));
    const form = h("form", { id, onsubmit: send }, intro && h("p", { class: "muted" }, intro), more, rows.map(({ box }) => box));
    const problem = h("p", { class: "problem", role: "alert" });
    if (make) form.append(problem);
    const go = h("button", { type: "submit", class: "primary", form: id }, submit);
    const opened = openDialog({
      title,
      body: form,
      foot: [button("Cancel", () => opened.close()), go],
      onclose: () => answer(given),
    });
    (rows[0]?.input ?? form).focus();

    /** @param {Event} event */
    async function send(event) {
      event.preventDefault();
      if (go.disabled) return;
      const values = Object.fromEntries(rows.map(({ name, value }) => [name, value()]));
      go.disabled = true;
      setText(problem, "");
      try {
        given = make ? await make(values) : values;
        opened.close();
      } catch (error) {
        setText(problem, words(error));
      } finally {
        go.disabled = false;
      }
    }
  });
}

/** @param {string} id @param {Field} field */
export function row(id, field) {
  const { name, label, kind = "text", hint = "", value = "", optional = false } = field;
  const of = { id: `${id}-${name}`, name, required: !optional && kind !== "checkbox", "aria-describedby": hint && `${id}-${name}-hint` };
  let input;
  if (kind === "select") {
    input = h("select", of, (field.options ?? []).map(([key, words]) => h("option", { value: key, selected: key === value }, words)));
  } else if (kind === "textarea") {
    input = h("textarea", { ...of, rows: 3, maxlength: field.max, value });
  } else if (kind === "checkbox") {
    input = h("input", { ...of, type: "checkbox", checked: Boolean(value) });
  } else {
    const bounds = kind === "number" ? { min: field.min, max: field.max, step: field.step ?? "any" } : { maxlength: field.max, pattern: field.pattern };
    input = h("input", { ...of, ...bounds, type: kind, value, autocomplete: "off", spellcheck: "false" });
  }
  const said = hint && h("small", { id: `${id}-${name}-hint`, class: "muted" }, hint);
  const box = kind === "checkbox"
    ? h("div", { class: "field check" }, h("label", { for: of.id }, input, label), said)
    : h("div", { class: "field" }, h("label", { for: of.id }, label), input, said);
  return { name, box, input, value: () => read(input, kind, optional) };
}

/** @param {HTMLInputElement | HTMLSelectElement | HTMLTextAreaElement} input @param {string} kind @param {boolean} optional */
function read(input, kind, optional) {
  if (kind === "checkbox") return /** @type {HTMLInputElement} */ (input).checked;
  const text = kind === "password" ? input.value : input.value.trim();
  if (text === "") return optional ? null : kind === "number" ? null : "";
  return kind === "number" ? Number(text) : text;
}
