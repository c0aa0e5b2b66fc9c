/** How long a connection waits for what, and how much may wait in it. */

/** From the start of an attempt to `session.ready`, seconds. */
export const CONNECT_DEADLINE_S = 10;
/** A socket that lived this long resets the backoff, seconds. */
export const STABLE_S = 5;
/** How long a socket that is to be left waits for answers, seconds. */
export const SETTLE_S = 1;
/** Moves are left out while more than this waits to be sent, bytes: the next one is newer anyway. */
export const MOVE_BUFFER_BYTES = 16 * 1024;
