/** One way a server accepts credentials, from its WWW-Authenticate header. */
export interface Challenge {
  /** Lower case: `basic`, `bearer`. */
  readonly scheme: string;
  /** Names in lower case. */
  readonly parameters: ReadonlyMap<string, string>;
}

/** Characters of a WWW-Authenticate header that are read. */
const MAX_HEADER_LENGTH = 8192;
const TOKEN = /[!#$%&'*+.^_`|~0-9A-Za-z-]+/y;

/**
 * Reads a WWW-Authenticate header. What follows a fault is dropped: a server's header never fails a
 * request by itself.
 *
 * @see RFC 9110 11.6.1
 */
export function parseChallenges(header: string | undefined): readonly Challenge[] {
  const text = (header ?? "").slice(0, MAX_HEADER_LENGTH);
  const challenges: { scheme: string; parameters: Map<string, string> }[] = [];
  let position = 0;
  const skip = (pattern: RegExp): void => {
    pattern.lastIndex = position;
    position += pattern.exec(text)?.[0].length ?? 0;
  };
  const token = (): string | undefined => {
    TOKEN.lastIndex = position;
    const found = TOKEN.exec(text)?.[0];
    position += found?.length ?? 0;
    return found;
  };
  for (;;) {
    skip(/[\s,]*/y);
    const word = token();
    if (word === undefined) return challenges;
    skip(/[ \t]*/y);
    if (text[position] !== "=") {
      challenges.push({ scheme: word.toLowerCase(), parameters: new Map() });
      continue;
    }
    position++;
    skip(/[ \t]*/y);
    const value = text[position] === '"' ? quoted() : token();
    const current = challenges.at(-1);
    if (value === undefined || current === undefined) return challenges;
    current.parameters.set(word.toLowerCase(), value);
  }

  function quoted(): string | undefined {
    let value = "";
    for (position++; position < text.length; position++) {
      const character = text[position];
      if (character === '"') {
        position++;
        return value;
      }
      if (character === "\\") position++;
      value += text[position] ?? "";
    }
    return undefined;
  }
}
