/**
 * The key to a server that wants one. It comes in the part of the address that browsers never send
 * (`#key=...`), is kept for this tab, and leaves the address bar at once.
 */

const KEPT_AS = "duplex.key";
const TIMEOUT_MS = 4000;

function takeKey() {
  const given = new URLSearchParams(location.hash.slice(1)).get("key");
  if (!given) return;
  sessionStorage.setItem(KEPT_AS, given);
  history.replaceState(null, "", location.pathname + location.search);
}

takeKey();
// Typed into the address of a page that is open, it loads nothing anew.
addEventListener("hashchange", takeKey);

/**
 * @param {Record<string, string>} headers
 * @returns {Record<string, string>}
 */
export function withKey(headers = {}) {
  const key = sessionStorage.getItem(KEPT_AS);
  return key ? { ...headers, Authorization: `Bearer ${key}` } : headers;
}

/**
 * A WebSocket carries no header of ours: its address gets a word that is good once.
 *
 * @returns {Promise<string | null>} Null where no key is wanted.
 */
export async function oneTimeToken() {
  if (!sessionStorage.getItem(KEPT_AS)) return null;
  const response = await fetch(new URL("api/tokens", document.baseURI), {
    method: "POST",
    headers: withKey(),
    signal: AbortSignal.timeout(TIMEOUT_MS),
  });
  if (!response.ok) throw new Error(`The server gave no token (${response.status}).`);
  return (await response.json()).token;
}
