/** The lock beside what is typed in a direct conversation: whether it is sealed, for whom, and what can be done about it. */

import { BadSeal } from "../rayrealm/key_records.js";
import { byId, setText } from "./dom.js";
import { placeBeside } from "./floating.js";
import { element } from "./keyed_list.js";
import { inWords } from "./words.js";

/** @type {Record<string, string>} */
const ABOUT = {
  none: "has not opened a page that can do this yet.",
  known: "Only the two of you can read what is sealed. Compare these numbers, not over this chat, to be sure that nobody stands between you.",
  verified: "Only the two of you can read what is sealed. You have compared these numbers.",
  changed: "has other keys than before. That may be a new device, or somebody who stands between you. Nothing is sealed for these keys, and nothing sealed by them is shown, until you accept them.",
  elsewhere: "Your keys are in another browser or on another device, which can read what is sealed for you; this one cannot.",
};
/** @type {Record<string, string>} */
const TITLES = { open: "Not sealed", known: "Sealed", verified: "Sealed, verified", changed: "The keys have changed", stuck: "Nothing can be sealed" };

export class SealLock {
  opener = byId("seal", HTMLButtonElement);
  menu = byId("seal-menu", HTMLElement);
  choice = byId("seal-choice", HTMLInputElement);
  about = byId("seal-about", HTMLElement);
  number = byId("seal-number", HTMLElement);
  compared = byId("seal-compared", HTMLInputElement);
  action = byId("seal-action", HTMLButtonElement);
  problem = byId("seal-problem", HTMLElement);
  /** @type {import("../rayrealm/client.js").RealmClient | null} */
  #client = null;
  /** With whom the conversation is that is shown. */
  #person = { userId: "", name: "" };

  constructor() {
    this.opener.addEventListener("click", () => void this.#open());
    this.choice.addEventListener("change", () => void this.#do((sealed) => sealed.choose(this.#person.userId, this.choice.checked)));
    this.compared.addEventListener("change", () => void this.#do((sealed) => sealed.verify(this.#person.userId, this.compared.checked)));
    this.action.addEventListener("click", () => {
      void this.#do(async (sealed) => {
        if (sealed.state === "elsewhere") await sealed.begin(this.#client?.userId ?? "", { replace: true });
        else await sealed.accept(this.#person.userId);
        await sealed.lookUp([this.#person.userId]);
      });
    });
  }

  /** @param {import("../rayrealm/client.js").RealmClient | null} client */
  attach(client) {
    this.#client = client;
    this.menu.hidePopover();
    client?.sealed.addEventListener("state", () => {
      if (this.#client === client) this.#update();
    });
    this.#update();
  }

  /** @param {string} userId empty: the conversation is not a direct one @param {string} name */
  show(userId, name) {
    if (userId !== this.#person.userId) this.menu.hidePopover();
    this.#person = { userId, name: name || "Somebody" };
    this.#update();
  }

  async #open() {
    this.problem.textContent = "";
    this.menu.showPopover();
    this.#update();
    const { userId } = this.#person;
    await this.#do(async (sealed) => {
      if (sealed.state === "ready") await sealed.lookUp([userId]);
    });
  }

  /** @param {(sealed: import("../rayrealm/sealed.js").Sealed) => Promise<unknown>} what */
  async #do(what) {
    const client = this.#client;
    if (!client) return;
    try {
      await what(client.sealed);
      this.problem.textContent = "";
    } catch (error) {
      this.problem.textContent = error instanceof BadSeal ? "That cannot be done now." : inWords(error);
    }
    this.#update();
    await this.#showNumber();
  }

  async #showNumber() {
    const { userId } = this.#person;
    const status = this.#client?.sealed.status(userId);
    if (!this.#client || (status !== "known" && status !== "verified")) return;
    const number = await this.#client.sealed.safetyNumber(userId).catch(() => "");
    if (userId === this.#person.userId) this.number.replaceChildren(...number.split(" ").map((group) => element("span", "", group)));
    this.#place();
  }

  /** Again whenever there is more or less in it. */
  #place() {
    if (this.menu.matches(":popover-open")) placeBeside(this.menu, this.opener);
  }

  #update() {
    const { userId, name } = this.#person;
    const sealed = this.#client?.sealed;
    this.opener.hidden = !userId || !sealed?.possible || sealed.state === "off";
    if (!sealed || this.opener.hidden) return;
    const away = sealed.state === "elsewhere";
    const status = sealed.status(userId);
    const chosen = sealed.isChosen(userId);
    const good = !away && (status === "known" || status === "verified");
    const seal = status === "changed" && !away ? "changed" : !chosen ? "open" : good ? status : "stuck";
    this.opener.dataset.seal = seal;
    this.opener.title = `${TITLES[seal]}. Choose to see more.`;
    this.opener.setAttribute("aria-label", this.opener.title);
    this.choice.checked = chosen;
    this.choice.disabled = !good && !chosen;
    setText(byId("seal-whom", HTMLElement), name);
    const about = away ? ABOUT.elsewhere : status === "none" || status === "changed" ? `${name} ${ABOUT[status]}` : ABOUT[status];
    setText(this.about, about);
    this.about.classList.toggle("warning", away || status === "changed");
    this.number.hidden = !good;
    /** @type {HTMLElement} */ (this.compared.parentElement).hidden = !good;
    this.compared.checked = status === "verified";
    this.action.hidden = !away && status !== "changed";
    setText(this.action, away ? "Use this browser instead" : "Accept the new keys");
    this.#place();
  }
}
