/** Shows what is shown once: an invitation, a token, recovery codes. It is kept nowhere in the page. */

import { button, h, setText } from "../app/dom.js";
import { openDialog } from "./dialog.js";

/** Resolves when the dialog is closed. @param {{title: string, about: string, secret: string}} of @returns {Promise<void>} */
export function showSecret({ title, about, secret }) {
  return new Promise((closed) => {
    const said = h("p", { class: "muted", role: "status" });
    const field = h("textarea", { class: "secret-text", readonly: true, rows: Math.min(10, Math.max(3, secret.split("\n").length)), "aria-label": title, value: secret, onfocus: () => field.select() });
    const copy = button("Copy", async () => {
      try {
        await navigator.clipboard.writeText(secret);
        setText(said, "Copied.");
      } catch {
        field.focus();
        setText(said, "The browser did not let it be copied: it is marked, copy it by hand.");
      }
    }, { class: "primary" });
    const opened = openDialog({ title, body: [h("p", {}, about), field, said], foot: [button("Close", () => opened.close()), copy], onclose: () => {
      field.value = "";
      closed();
    } });
    copy.focus();
  });
}
