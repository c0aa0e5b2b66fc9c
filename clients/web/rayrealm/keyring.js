/**
 * What sealed messages need to be kept in the browser: one's own keys, whom one knows, and what was read. In IndexedDB, because it alone keeps keys
 * that cannot be taken out. All tabs of a user share it: none writes what it has read before, and only one at a time makes or publishes keys.
 *
 * @typedef {object} Keyring
 * @property {string} userId
 * @property {import("./sealing.js").OwnKeys} keys
 * @property {Record<string, import("./sealing.js").Pin>} pins by user
 * @property {Record<string, number>} read keys of messages (Opened) -> when they were said
 * @property {string[]} sealed users to whom this player talks in sealed messages
 *
 * @typedef {(ring: Keyring) => boolean} Change what is to be done to a keyring, at once; done twice it does no more. Says whether it did something
 */

const DATABASE = "rayrealm-keys";
const STORE = "keyrings";
/** For another tab to make keys and publish them, milliseconds. */
const MOST_WAIT_MS = 60_000;

export class KeyringStore {
  /** @type {Promise<IDBDatabase> | null} */
  #database = null;
  /** @type {BroadcastChannel | null} */
  #others = null;

  /** @param {string} userId @returns {Promise<Keyring | undefined>} */
  async load(userId) {
    return this.#do("readonly", (store, give) => read(store, userId, give));
  }

  /** Unless the user has one. @param {Keyring} ring @returns {Promise<Keyring>} the one that is kept */
  async add(ring) {
    return this.#do("readwrite", (store, give) =>
      read(store, ring.userId, (kept) => {
        give(kept ?? ring);
        if (!kept) store.add(ring);
      }),
    );
  }

  /**
   * Changes what is kept now, whoever has written it, in one transaction.
   * @param {Keyring} ring what to change if nothing is kept any more
   * @param {Change} change
   * @returns {Promise<Keyring>} what is kept after it
   */
  async change(ring, change) {
    const { userId } = ring;
    let changed = false;
    const after = await this.#do("readwrite", (store, give) =>
      read(store, userId, (kept) => {
        changed = change(kept ?? ring) || !kept;
        if (changed) store.put(kept ?? ring);
        give(kept ?? ring);
      }),
    );
    if (changed) this.#others?.postMessage(userId);
    return after;
  }

  /**
   * While no other tab does such work for the user.
   * @template T
   * @param {string} userId @param {() => Promise<T>} work
   * @returns {Promise<T>}
   * @throws {DOMException} another tab has not ended its work in time
   */
  async alone(userId, work) {
    const signal = AbortSignal.timeout(MOST_WAIT_MS);
    return navigator.locks.request(`${DATABASE}/${userId}`, { signal }, work);
  }

  /** Tells of changes that other tabs make. @param {(userId: string) => void} told @returns {() => void} ends it */
  listen(told) {
    const channel = new BroadcastChannel(DATABASE);
    channel.onmessage = ({ data }) => told(String(data));
    this.#others?.close();
    this.#others = channel;
    return () => channel.close();
  }

  /**
   * @param {IDBTransactionMode} mode
   * @param {(store: IDBObjectStore, give: (result: any) => void) => void} work
   * @returns {Promise<any>} what was given, once all is written
   */
  async #do(mode, work) {
    this.#database ??= open();
    const transaction = (await this.#database).transaction(STORE, mode);
    return new Promise((resolve, reject) => {
      /** @type {any} */
      let result;
      transaction.oncomplete = () => resolve(result);
      transaction.onabort = () => reject(transaction.error);
      work(transaction.objectStore(STORE), (given) => {
        result = given;
      });
    });
  }
}

/** @param {IDBObjectStore} store @param {string} userId @param {(kept: Keyring | undefined) => void} then within the same transaction */
function read(store, userId, then) {
  const request = store.get(userId);
  request.onsuccess = () => then(request.result);
}

/** @returns {Promise<IDBDatabase>} */
function open() {
  return new Promise((resolve, reject) => {
    const request = indexedDB.open(DATABASE, 1);
    request.onupgradeneeded = () => request.result.createObjectStore(STORE, { keyPath: "userId" });
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
  });
}
