/** Choose a character and a zone, make a character, enter. */

import { byId } from "./dom.js";
import { colourOf, groundOf } from "./palette.js";
import { characterNameProblem, inWords } from "./words.js";

/** @typedef {import("../rayrealm/api.js").Character} Character */
/** @typedef {import("../rayrealm/client.js").ZoneInfo} ZoneInfo */

export class Lobby {
  characterList = byId("characters", HTMLElement);
  zoneList = byId("zones", HTMLElement);
  createForm = byId("create-form", HTMLFormElement);
  nameInput = byId("character-name", HTMLInputElement);
  createButton = byId("create-submit", HTMLButtonElement);
  createProblem = byId("create-error", HTMLElement);
  enterProblem = byId("enter-error", HTMLElement);
  enterButton = byId("enter", HTMLButtonElement);
  /** @type {Character[]} */
  #characters = [];
  /** @type {ZoneInfo[]} */
  #zones = [];
  #busy = false;
  #connected = false;
  /** Why it is not, as it stands on the page. */
  #trouble = "";

  /**
   * @param {object} options
   * @param {(name: string) => Promise<Character>} options.create
   * @param {(characterId: string, zone: string | undefined) => Promise<unknown>} options.enter
   */
  constructor({ create, enter }) {
    this.create = create;
    this.enter = enter;
    this.createForm.addEventListener("submit", (event) => {
      event.preventDefault();
      void this.#make();
    });
    this.enterButton.addEventListener("click", () => void this.#go());
    this.characterList.addEventListener("change", () => this.#showReady());
  }

  /** @param {string} username */
  open(username) {
    byId("lobby-user", HTMLElement).textContent = username;
    this.enterProblem.textContent = this.#trouble = "";
    this.createProblem.textContent = "";
    this.#characters = [];
    this.#zones = [];
    this.characterList.replaceChildren(note("Asking for your characters…"));
    this.zoneList.replaceChildren(note("Connecting to the realm…"));
    this.#showReady();
  }

  /** @param {Character[]} characters */
  showCharacters(characters) {
    const chosen = this.#chosen("character") ?? characters.at(-1)?.character_id;
    this.#characters = characters;
    const cards = characters.map((character) => {
      const card = choice("character", character.character_id, character.name, this.#whereabouts(character));
      card.style.setProperty("--card", colourOf({ entityId: character.character_id }));
      return card;
    });
    this.characterList.replaceChildren(...(cards.length > 0 ? cards : [note("You have none yet. Make one below.")]));
    this.#choose("character", chosen);
  }

  /** @param {ZoneInfo[]} zones */
  showZones(zones) {
    const chosen = this.#chosen("zone") ?? "";
    this.#zones = zones;
    const last = choice("zone", "", "Where I was last", "or the realm's first zone");
    const cards = zones.map((zone) => {
      const { min_x: minX, min_z: minZ, max_x: maxX, max_z: maxZ } = zone.bounds;
      const crowd = `${zone.population} ${zone.population === 1 ? "soul" : "souls"}`;
      const card = choice("zone", zone.zone, zone.name, `${crowd} · ${Math.round(maxX - minX)} × ${Math.round(maxZ - minZ)} m`);
      card.style.setProperty("--card", groundOf(`${zone.zone} ${zone.name}`).wallTop);
      return card;
    });
    this.zoneList.replaceChildren(last, ...cards);
    this.#choose("zone", chosen);
    if (this.#characters.length > 0) this.showCharacters(this.#characters); // now their zones have names
  }

  /** Puts the keyboard where the next step is. */
  focus() {
    if (this.#characters.length === 0) this.nameInput.focus();
    else this.enterButton.focus();
  }

  /** @param {boolean} connected @param {string} [trouble] why not, in words; absent: as before */
  setConnected(connected, trouble = this.#trouble) {
    this.#connected = connected;
    if (trouble !== this.#trouble) this.enterProblem.textContent = this.#trouble = trouble;
    this.#showReady();
  }

  /** @param {unknown} error */
  showProblem(error) {
    this.enterProblem.textContent = inWords(error);
  }

  /** @param {Character} character */
  #whereabouts(character) {
    if (!character.zone) return "has not set out yet";
    const zone = this.#zones.find((each) => each.zone === character.zone)?.name ?? character.zone;
    const { position } = character;
    return position ? `${zone}, at ${Math.round(position.x)}, ${Math.round(position.z)}` : zone;
  }

  async #make() {
    const name = this.nameInput.value.trim();
    this.createProblem.textContent = characterNameProblem(name);
    if (this.createProblem.textContent || this.#busy) return;
    await this.#while(async () => {
      try {
        const made = await this.create(name);
        this.nameInput.value = "";
        this.showCharacters([...this.#characters, made]);
        this.#choose("character", made.character_id);
      } catch (error) {
        this.createProblem.textContent = inWords(error);
      }
    });
    if (this.createProblem.textContent === "") this.enterButton.focus();
  }

  async #go() {
    const characterId = this.#chosen("character");
    if (!characterId || this.#busy) return;
    this.enterProblem.textContent = "";
    await this.#while(async () => {
      try {
        await this.enter(characterId, this.#chosen("zone") || undefined);
      } catch (error) {
        this.showProblem(error);
      }
    });
  }

  /** @param {() => Promise<void>} work */
  async #while(work) {
    this.#busy = true;
    this.#showReady();
    await work();
    this.#busy = false;
    this.#showReady();
  }

  #showReady() {
    this.createButton.disabled = this.#busy;
    this.enterButton.disabled = this.#busy || !this.#connected || !this.#chosen("character");
    this.enterButton.textContent = this.#connected ? "Enter the world" : "Connecting…";
  }

  /** @param {string} group @returns {string | undefined} */
  #chosen(group) {
    const checked = document.querySelector(`#lobby input[name="${group}"]:checked`);
    return checked instanceof HTMLInputElement ? checked.value : undefined;
  }

  /** @param {string} group @param {string | undefined} value */
  #choose(group, value) {
    for (const input of document.querySelectorAll(`#lobby input[name="${group}"]`)) {
      if (input instanceof HTMLInputElement) input.checked = input.value === value;
    }
    this.#showReady();
  }
}

/** @param {string} text */
function note(text) {
  const paragraph = document.createElement("p");
  paragraph.className = "muted";
  paragraph.textContent = text;
  return paragraph;
}

/**
 * A radio button that looks like a card.
 * @param {string} group
 * @param {string} value
 * @param {string} title
 * @param {string} detail
 */
function choice(group, value, title, detail) {
  const label = document.createElement("label");
  label.className = "choice";
  const input = document.createElement("input");
  input.type = "radio";
  input.name = group;
  input.value = value;
  const name = document.createElement("b");
  name.textContent = title;
  const small = document.createElement("small");
  small.textContent = detail;
  label.append(input, name, small);
  return label;
}
