/**
 * A URL for messages and logs: without user, password, query and fragment, which carry signatures and
 * tokens. Origin and path stay.
 */
export function redactUrl(url: URL): string {
  return `${url.protocol}//${url.host}${url.pathname}${url.search === "" ? "" : "?…"}`;
}
