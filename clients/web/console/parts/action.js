/** The dialog of an action: its plan, its confirmation, its progress, its result. It can be closed and found again in Jobs. */

import { words } from "../app/api.js";
import { button, h, put, setText } from "../app/dom.js";
import * as format from "../app/format.js";
import { icon } from "../app/icons.js";
import { openDialog } from "./dialog.js";
import { followJob, isOver } from "./job.js";
import { plainNodes, withNodes } from "./node_ids.js";

/**
 * @param {import("../app/shell.js").Shell} shell
 * @param {string} name
 * @param {Record<string, unknown>} params
 * @param {{title?: string, confirm?: string}} options
 * @returns {Promise<any>} the result; null: not done, failed, cancelled, or closed before its end
 */
export function openAction(shell, name, params, { title = shell.said(name), confirm = "" } = {}) {
  return new Promise((answer) => {
    /** @type {any} */
    let result = null;
    let stop = () => {};
    const opened = openDialog({
      title,
      kind: "action",
      body: h("p", { class: "muted", role: "status" }, "Planning…"),
      foot: button("Cancel", () => opened.close()),
      onclose: () => {
        stop();
        answer(result);
      },
    });
    plan();

    async function plan() {
      try {
        showPlan(await shell.api.post(`actions/${name}/plan`, params));
      } catch (error) {
        fail(words(error), plan);
      }
    }

    /** @param {any} said */
    function showPlan(said) {
      const target = said.dangerous ? confirm || said.target || name : "";
      const typed = h("input", { type: "text", autocomplete: "off", spellcheck: "false", autocapitalize: "none", id: "confirm-name" });
      const go = h("button", { type: "button", class: target ? "danger" : "primary", onclick: carryOut }, "Carry out");
      const ready = () => {
        go.disabled = target !== "" && typed.value.trim() !== target;
      };
      typed.addEventListener("input", ready);
      typed.addEventListener("keydown", (event) => {
        if (event.key === "Enter" && !go.disabled) carryOut();
      });
      put(opened.body,
        said.summary !== title && h("p", { class: "muted" }, said.summary),
        h("h3", {}, "What will be done"),
        h("ol", { class: "plan" }, said.steps.map((/** @type {string} */ step) => h("li", {}, withNodes(step)))),
        said.warnings?.length > 0 && h("ul", { class: "warnings" }, said.warnings.map((/** @type {string} */ each) => h("li", {}, icon("alert"), h("span", {}, withNodes(each))))),
        target && h("div", { class: "field" }, h("label", { for: "confirm-name" }, "Type ", h("code", {}, target), " to confirm"), typed));
      put(opened.foot, button("Cancel", () => opened.close()), go);
      ready();
      (target ? typed : go).focus();
    }

    async function carryOut() {
      put(opened.foot, button("Close", () => opened.close()));
      put(opened.body, h("p", { class: "muted", role: "status" }, "Starting…"));
      try {
        const job = await shell.api.post(`actions/${name}`, params);
        if (!opened.dialog.open) return; // it goes on without being watched: Jobs has it
        const view = showJob(opened, shell, job);
        stop = followJob(shell, job, (now) => {
          view(now);
          if (now.state === "done") result = now.result ?? {};
        });
      } catch (error) {
        fail(words(error), plan);
      }
    }

    /** @param {string} why @param {() => void} again */
    function fail(why, again) {
      put(opened.body, h("p", { class: "problem", role: "alert" }, withNodes(why)));
      put(opened.foot, button("Close", () => opened.close()), button("Try again", again, { class: "primary" }));
    }
  });
}

/** Opens a job that is known already. @param {import("../app/shell.js").Shell} shell @param {any} job */
export function openJob(shell, job) {
  let stop = () => {};
  const opened = openDialog({ title: shell.said(job.action), kind: "action", body: null, onclose: () => stop() });
  stop = followJob(shell, job, showJob(opened, shell, job));
}

/**
 * @param {ReturnType<typeof openDialog>} opened @param {import("../app/shell.js").Shell} shell @param {any} first
 * @returns {(job: any) => void} shows how it is now
 */
function showJob(opened, shell, first) {
  const bar = h("progress", { max: 1, value: 0, "aria-label": "Progress" });
  const said = h("p", { class: "job-state", role: "status" });
  const steps = h("ol", { class: "steps" });
  const outcome = h("div", { class: "outcome" });
  const cancel = button("Cancel it", async () => {
    cancel.disabled = true;
    try {
      await shell.api.post(`jobs/${first.id}/cancel`);
    } catch (error) {
      setText(said, words(error));
      cancel.disabled = false;
    }
  });
  put(opened.body, said, bar, steps, outcome);
  put(opened.foot, button("Close", () => opened.close()));
  opened.foot.querySelector("button")?.focus();
  return (job) => {
    bar.value = job.state === "done" ? 1 : job.done ?? 0;
    bar.hidden = isOver(job) && job.state !== "done";
    setText(said, STATES[job.state] ?? job.state);
    said.dataset.state = job.state;
    const lines = job.steps ?? [];
    while (steps.childElementCount > lines.length) steps.lastElementChild?.remove();
    lines.forEach((/** @type {any} */ step, /** @type {number} */ index) => {
      const line = steps.children[index] ?? steps.appendChild(h("li", {}));
      line.className = index === lines.length - 1 && !isOver(job) ? "now" : "past";
      const text = `${step.text ?? step}`;
      if (line.textContent !== plainNodes(text) + (step.at ? format.time(step.at) : "")) put(line, h("span", {}, withNodes(text)), step.at && h("time", {}, format.time(step.at)));
    });
    put(outcome, describe(job));
    if (isOver(job)) cancel.remove();
    else if (job.cancellable && !cancel.isConnected) opened.foot.prepend(cancel);
  };
}

export const STATES = /** @type {Record<string, string>} */ ({
  waiting: "Waiting to begin", running: "Under way", done: "Done", failed: "It failed", cancelled: "Cancelled", cancelling: "Being cancelled",
});

/** The result of a job, in words. @param {any} job */
export function describe(job) {
  if (job.state === "failed") return h("p", { class: "problem", role: "alert" }, withNodes(job.error || "The realm gave no reason."));
  if (job.state !== "done" || !job.result) return null;
  const { outcome, why, ...rest } = job.result;
  const hidden = new Set(job.secrets ?? []); // for the dialog that is made for them
  const facts = Object.entries(rest).filter(([key, value]) => !hidden.has(key) && value !== null && value !== "" && !(Array.isArray(value) && value.length === 0));
  return [
    outcome && (outcome !== "done" || why) && h("p", {}, withNodes(`${capital(outcome)}${why ? `: ${why}` : ""}`)),
    facts.length > 0 && h("dl", { class: "facts" }, facts.map(([key, value]) => [h("dt", {}, capital(key.replaceAll("_", " "))), h("dd", {}, key.endsWith("_at") && typeof value === "number" ? format.date(value) : withNodes(plain(value)))])),
  ];
}

/** @param {string} word */
const capital = (word) => word.charAt(0).toUpperCase() + word.slice(1);

/** @param {unknown} value @returns {string} */
function plain(value) {
  if (Array.isArray(value)) return value.map(plain).join(", ");
  if (value && typeof value === "object") return Object.entries(value).map(([key, each]) => `${key} ${plain(each)}`).join(", ");
  return typeof value === "number" ? format.number(value) : String(value);
}
