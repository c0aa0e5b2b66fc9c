/** The play page: log in, choose, enter. Puts the library and the page's parts together. */

import { ApiError, RealmApi } from "../rayrealm/api.js";
import { RealmClient } from "../rayrealm/client.js";
import { systemClock } from "../rayrealm/clock.js";
import { Connection } from "../rayrealm/connection.js";
import { Credentials } from "../rayrealm/credentials.js";
import { forgetKept } from "../rayrealm/recovery.js";
import { Renewal } from "../rayrealm/renewal.js";
import { Agreement } from "../rayrealm/signing.js";
import { AuthForm } from "./auth_form.js";
import { exposeState } from "./debug.js";
import { byId } from "./dom.js";
import { GamePanel } from "./game_panel.js";
import { Lobby } from "./lobby.js";
import { entryWords, inWords } from "./words.js";
import { WorldScreen } from "./world_screen.js";

const api = new RealmApi();
const credentials = new Credentials({ api, storage: sessionStorage });
/** @type {RealmClient | null} */
let client = null;
/** Whether the realm wants signed messages; null: it was not asked yet. @type {boolean | null} */
let sign = null;

const auth = new AuthForm({
  api,
  done: async (tokens, username) => {
    credentials.adopt(tokens, username);
    await askRealm();
    openLobby();
  },
});

const lobby = new Lobby({
  create: async (name) => api.createCharacter(await credentials.token(), name),
  enter: async (characterId, zone) => client?.enter(characterId, zone),
});

const screen = new WorldScreen({
  clock: systemClock,
  logout: () => void logout(),
  act: () => void game.act(),
});
const game = new GamePanel(screen);

byId("logout", HTMLButtonElement).addEventListener("click", () => void logout());
byId("leave", HTMLButtonElement).addEventListener("click", () => void leave());
credentials.addEventListener("lost", () => openAuth("Your login has ended. Log in again."));
window.addEventListener("pagehide", () => client?.connection.recovery.save());
exposeState(screen);
screen.start();
void begin();

async function begin() {
  try {
    await askRealm();
    if (await credentials.restore()) openLobby();
    else openAuth();
  } catch (error) {
    openAuth(inWords(error));
  }
}

/** What has to be known before a connection. */
async function askRealm() {
  sign ??= (await api.realm()).sign;
  if (sign && !Agreement.possible) throw new ApiError({ status: 0, reason: "insecure" });
}

/** @param {"auth" | "lobby" | "world"} name */
function show(name) {
  document.body.dataset.screen = name;
  screen.controls.active = name === "world";
  screen.controls.release();
}

/** @param {string} [message] */
function openAuth(message) {
  closeClient();
  show("auth");
  auth.open(message);
}

function openLobby() {
  show("lobby");
  lobby.open(credentials.username);
  client ??= openClient();
  lobby.setConnected(client.connection.ready);
  if (client.connection.ready) void loadZones(client);
  void loadCharacters();
}

/** A connection of this login, and what it brings. @returns {RealmClient} */
function openClient() {
  const url = new URL("/ws", location.href);
  url.protocol = url.protocol === "https:" ? "wss:" : "ws:";
  const connection = new Connection({
    url: url.href,
    token: (options) => credentials.token(options),
    storage: sessionStorage, // so that a reload finds its character where it stands
    sign: sign === true,
  });
  new Renewal({ connection, credentials });
  const opened = new RealmClient({ connection });
  connection.addEventListener("ready", () => {
    if (!opened.world) void loadZones(opened);
  });
  connection.addEventListener("state", () => {
    const { name, code } = connection.state;
    lobby.setConnected(connection.ready, name === "connecting" ? undefined : entryWords(connection.state));
    if (name === "ended" && code === 4501 && opened === client) openAuth("Your login has ended. Log in again.");
  });
  opened.addEventListener("world", () => onWorld(opened));
  screen.attach(opened);
  game.attach(opened);
  connection.connect();
  return opened;
}

function closeClient() {
  const closing = client;
  client = null;
  screen.attach(null);
  game.attach(null);
  closing?.connection.disconnect();
  forgetKept(sessionStorage);
}

/** @param {RealmClient} of */
function onWorld(of) {
  if (of !== client) return;
  if (!of.world) {
    openLobby();
    return;
  }
  if (document.body.dataset.screen !== "world") {
    show("world");
    if (document.activeElement instanceof HTMLElement) document.activeElement.blur();
  }
}

/** @param {RealmClient} of */
async function loadZones(of) {
  try {
    const zones = await of.zones();
    if (of === client) lobby.showZones(zones);
  } catch (error) {
    if (of === client && of.connection.ready) lobby.showProblem(error);
  }
}

async function loadCharacters() {
  try {
    lobby.showCharacters(await api.characters(await credentials.token()));
    if (document.body.dataset.screen === "lobby") lobby.focus();
  } catch (error) {
    lobby.showCharacters([]);
    lobby.showProblem(error);
  }
}

async function leave() {
  try {
    await client?.leave();
  } catch (error) {
    screen.chat.tell(inWords(error));
  }
}

async function logout() {
  const leaving = client;
  client = null; // what it still tells is of no interest
  try {
    if (leaving?.world && leaving.connection.ready) await leaving.leave();
  } catch (error) {
    console.warn("the realm was not told of the leave", error); // the grace period ends the session anyway
  }
  leaving?.connection.disconnect();
  await credentials.logout();
  openAuth();
}
