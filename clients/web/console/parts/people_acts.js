/** What an operator can do about a player: each asks for what it needs, and then goes through the dialog of actions. */

/** @typedef {import("../app/shell.js").App} App */
/** @typedef {{session?: string, user: string, username?: string, character?: string}} Person */

const FOREVER = "";
export const TERMS = /** @type {[value: string, label: string][]} */ ([
  ["900", "15 minutes"], ["3600", "1 hour"], ["86400", "1 day"], ["604800", "7 days"], ["2592000", "30 days"], [FOREVER, "Until it is lifted"],
]);
const LONGEST_REASON = 200;
const LONGEST_KICK = 30; // what a close frame has room for, in any script
const LONGEST_TEXT = 1_000;

/** @param {Person} person */
export const called = ({ username, character, user }) => character || username || user;

/** @param {App} app @param {Person & {session: string}} person */
export async function kick(app, person) {
  const given = await app.ask({
    title: `Kick ${called(person)}`,
    intro: "Closes the player's socket. They may come back at once: a ban keeps them out.",
    fields: [{ name: "reason", label: "Reason, told to the player", value: "kicked", max: LONGEST_KICK }],
  });
  return given && app.act("session.kick", { session: person.session, reason: given.reason }, { title: `Kick ${called(person)}` });
}

/** To the session, or to all of the user's. @param {App} app @param {Person} person */
export async function message(app, person) {
  const given = await app.ask({
    title: `Message to ${called(person)}`,
    fields: [{ name: "text", label: "Text", kind: "textarea", max: LONGEST_TEXT, hint: "The player is shown it as from the operators." }],
  });
  const whom = person.session ? { session: person.session } : { user: person.user };
  return given && app.act("session.message", { ...whom, text: given.text }, { title: `Message to ${called(person)}` });
}

/** @param {App} app @param {Person | null} person null: it is asked whom */
export async function banUser(app, person) {
  const title = person ? `Ban ${called(person)}` : "Ban a user";
  const given = await app.ask({
    title,
    intro: "All their sockets are closed, and they have no session until the ban ends.",
    fields: [
      ...(person ? [] : [{ name: "user", label: "User", hint: "Their name, or their id (usr_…)", max: 200 }]),
      { name: "for_s", label: "For", kind: /** @type {const} */ ("select"), options: TERMS, value: "86400", optional: true },
      { name: "reason", label: "Reason", hint: "For the operators: the user is not told.", max: LONGEST_REASON, optional: true },
    ],
  });
  if (!given) return null;
  return app.act("user.ban", { user: person?.user ?? given.user, for_s: seconds(given.for_s), reason: given.reason ?? "" }, { title });
}

/** @param {App} app @param {string} [network] */
export async function banNetwork(app, network = "") {
  const title = "Ban a network";
  const given = await app.ask({
    title,
    intro: "Nobody from there can log in or connect, and who is connected is closed.",
    fields: [
      { name: "network", label: "Address or network", hint: "203.0.113.7, 203.0.113.0/24; of IPv6 alone its /64 is meant", value: network, max: 100 },
      { name: "for_s", label: "For", kind: "select", options: TERMS, value: "3600", optional: true },
      { name: "reason", label: "Reason", hint: "For the operators.", max: LONGEST_REASON, optional: true },
    ],
  });
  if (!given) return null;
  return app.act("network.ban", { network: given.network, for_s: seconds(given.for_s), reason: given.reason ?? "" }, { title });
}

/** @param {App} app @param {{kind: string, subject: string, name?: string}} ban */
export function lift(app, { kind, subject, name }) {
  const title = `Lift the ban of ${name || subject}`;
  return kind === "user" ? app.act("user.unban", { user: subject }, { title }) : app.act("network.unban", { network: subject }, { title });
}

/** @param {App} app @param {Person} person */
export const revoke = (app, person) => app.act("token.revoke", { user: person.user }, { title: `End the logins of ${called(person)}` });

/** Everything that the realm keeps on somebody, as a file. @param {App} app @param {Person} person */
export async function exportData(app, person) {
  const kept = await app.look("sessions.export", { user: person.user });
  download(`${person.user}.json`, JSON.stringify(kept, null, 2));
  app.toast(`What the realm keeps on ${called(person)} was saved as ${person.user}.json.`, "good");
}

/** @param {string | null} text */
const seconds = (text) => (text === null || text === FOREVER ? null : Number(text));

/** @param {string} name @param {string} text JSON */
export function download(name, text) {
  const url = URL.createObjectURL(new Blob([text], { type: "application/json" }));
  const link = document.createElement("a");
  link.href = url;
  link.download = name;
  document.body.append(link);
  link.click();
  link.remove();
  setTimeout(() => URL.revokeObjectURL(url), 10_000);
}
