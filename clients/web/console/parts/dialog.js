/** A modal dialog on the browser's own <dialog>: the focus stays in it, Escape closes it, and goes back to where it was. */

import { button, h } from "../app/dom.js";
import { icon } from "../app/icons.js";

let made = 0;

/**
 * @param {object} of
 * @param {string} of.title
 * @param {import("../app/dom.js").Child} of.body
 * @param {import("../app/dom.js").Child} [of.foot] the buttons, right to left in importance
 * @param {() => void} [of.onclose] however it was closed
 * @param {string} [of.kind] a class: `wide`
 * @returns {{dialog: HTMLDialogElement, body: HTMLElement, foot: HTMLElement, close: () => void, retitle: (title: string) => void}}
 */
export function openDialog({ title, body, foot = null, onclose = () => {}, kind = "" }) {
  const id = `dialog-${(made += 1)}`;
  const before = document.activeElement;
  const heading = h("h2", { id }, title);
  const shut = h("button", { type: "button", class: "quiet square", "aria-label": "Close", onclick: () => dialog.close() }, icon("close"));
  const bodyBox = h("div", { class: "dialog-body" }, body);
  const footBox = h("footer", {}, foot ?? button("Close", () => dialog.close()));
  const dialog = h("dialog", { "aria-labelledby": id, class: kind }, h("header", {}, heading, shut), bodyBox, footBox);
  dialog.addEventListener("close", () => {
    dialog.remove();
    if (before instanceof HTMLElement && before.isConnected) before.focus();
    onclose();
  });
  document.body.append(dialog);
  dialog.showModal();
  return { dialog, body: bodyBox, foot: footBox, close: () => dialog.close(), retitle: (text) => (heading.textContent = text) };
}
