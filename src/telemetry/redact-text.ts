/** Longest text of a field; an error may quote what a stranger sent. */
const MAX_TEXT = 4096;

const SECRETS: readonly (readonly [RegExp, string])[] = [
  // User and password of a URL.
  [/([a-z][a-z0-9+.-]{0,19}:\/\/)[^/\s"'@]{1,2000}@/gi, "$1***@"],
  // Its query: signatures, tokens.
  [/([a-z][a-z0-9+.-]{0,19}:\/\/[^\s"'?#]{1,2000})\?[^\s"'#]+/gi, "$1?***"],
  // Headers of logins.
  [/\b(basic|bearer)\s+[\w+/=.~-]{4,}/gi, "$1 ***"],
  // `password=…`, `"identity_token": "…"`.
  [
    /((?:password|passwd|secret|token|authorization|credential|api[-_]?key)[\w-]{0,20}["']?\s*[=:]\s*)(?:"[^"]*"|'[^']*'|[^\s,;&"']+)/gi,
    "$1***",
  ],
];

/**
 * A text without what looks like a secret, and not over 4096 characters: the last net. What is known to be secret must
 * not come into a text in the first place.
 */
export function redactText(text: string): string {
  const short = text.length > MAX_TEXT ? `${text.slice(0, MAX_TEXT)}…` : text;
  return SECRETS.reduce((cleaned, [pattern, replacement]) => cleaned.replace(pattern, replacement), short);
}
