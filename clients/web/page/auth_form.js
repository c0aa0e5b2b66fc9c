/** Log in or register. */

import { byId } from "./dom.js";
import { inWords, passwordProblem, usernameProblem } from "./words.js";

export class AuthForm {
  form = byId("auth-form", HTMLFormElement);
  username = byId("username", HTMLInputElement);
  password = byId("password", HTMLInputElement);
  problem = byId("auth-error", HTMLElement);
  submit = byId("auth-submit", HTMLButtonElement);

  /**
   * @param {object} options
   * @param {import("../rayrealm/api.js").RealmApi} options.api
   * @param {(tokens: import("../rayrealm/api.js").Tokens, username: string) => Promise<void>} options.done
   */
  constructor({ api, done }) {
    this.api = api;
    this.done = done;
    this.form.addEventListener("change", () => this.#showMode());
    this.form.addEventListener("submit", (event) => {
      event.preventDefault();
      void this.#send();
    });
    this.#showMode();
  }

  get #registering() {
    return new FormData(this.form).get("mode") === "register";
  }

  /** @param {string} [message] why the player is here again */
  open(message = "") {
    this.problem.textContent = message;
    this.password.value = "";
    this.#showMode();
    (this.username.value ? this.password : this.username).focus();
  }

  #showMode() {
    const registering = this.#registering;
    this.form.dataset.mode = registering ? "register" : "login";
    this.submit.textContent = registering ? "Register" : "Log in";
    this.password.autocomplete = registering ? "new-password" : "current-password";
  }

  async #send() {
    const username = this.username.value.trim();
    const password = this.password.value;
    const registering = this.#registering;
    const wrongName = usernameProblem(username);
    const wrongPassword = registering ? passwordProblem(password) : password === "" ? "Enter your password." : "";
    this.username.setAttribute("aria-invalid", String(wrongName !== ""));
    this.password.setAttribute("aria-invalid", String(wrongPassword !== ""));
    this.problem.textContent = [wrongName, wrongPassword].filter(Boolean).join(" ");
    if (wrongName || wrongPassword) {
      (wrongName ? this.username : this.password).focus();
      return;
    }
    this.submit.disabled = true;
    try {
      const tokens = await (registering ? this.api.register(username, password) : this.api.login(username, password));
      this.password.value = "";
      await this.done(tokens, username);
    } catch (error) {
      this.problem.textContent = inWords(error);
      this.password.focus();
    } finally {
      this.submit.disabled = false;
    }
  }
}
