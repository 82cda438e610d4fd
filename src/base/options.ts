import { CodedError } from "./errors.ts";

/**
 * Checks an integer option.
 *
 * @throws {CodedError} ERR_OPTION_INVALID outside `[minimum, maximum]`.
 */
export function integerOption(name: string, value: number, minimum: number, maximum: number): number {
  if (!Number.isSafeInteger(value) || value < minimum || value > maximum) {
    throw new CodedError(
      "ERR_OPTION_INVALID",
      `${name} must be an integer from ${minimum} to ${maximum}, got ${value}`,
    );
  }
  return value;
}

/**
 * Checks that an option is one of a list.
 *
 * @throws {CodedError} ERR_OPTION_INVALID when it is not.
 */
export function choiceOption<Choice extends string>(
  name: string,
  value: string,
  choices: readonly Choice[],
): Choice {
  const found = choices.find((choice) => choice === value);
  if (found === undefined) {
    throw new CodedError(
      "ERR_OPTION_INVALID",
      `${name} must be one of ${choices.join(", ")}, got ${JSON.stringify(value)}`,
    );
  }
  return found;
}

const UNITS: Readonly<Record<string, number>> = {
  "": 1,
  B: 1,
  K: 2 ** 10,
  KiB: 2 ** 10,
  M: 2 ** 20,
  MiB: 2 ** 20,
  G: 2 ** 30,
  GiB: 2 ** 30,
  T: 2 ** 40,
  TiB: 2 ** 40,
  kB: 1e3,
  KB: 1e3,
  MB: 1e6,
  GB: 1e9,
  TB: 1e12,
};

/**
 * Reads a size: bytes (`65536`, `0x10000`) or a number with a unit (`64KiB`, `1.5GB`).
 *
 * @returns Bytes.
 * @throws {CodedError} ERR_OPTION_INVALID for anything else.
 */
export function parseSize(name: string, text: string): number {
  if (/^0x[0-9a-f]{1,13}$/i.test(text)) return Number.parseInt(text, 16);
  const match = /^(\d{1,15}(?:\.\d{1,6})?)\s*([A-Za-z]*)$/.exec(text);
  const unit = match === null ? undefined : UNITS[match[2] ?? ""];
  const bytes = match === null || unit === undefined ? Number.NaN : Number(match[1]) * unit;
  if (!Number.isSafeInteger(bytes)) {
    throw new CodedError(
      "ERR_OPTION_INVALID",
      `${name} must be a size such as 65536, 0x10000 or 64KiB, got ${JSON.stringify(text)}`,
    );
  }
  return bytes;
}

const DURATION_UNITS: Readonly<Record<string, number>> = { ms: 1, s: 1000, m: 60_000, h: 3_600_000 };

/**
 * Reads a duration: a number with a unit (`500ms`, `30s`, `5m`, `1h`).
 *
 * @returns Milliseconds.
 * @throws {CodedError} ERR_OPTION_INVALID for anything else.
 */
export function parseDuration(name: string, text: string): number {
  const [, number = "", unit = ""] = /^(\d{1,9})(ms|s|m|h)$/.exec(text) ?? [];
  const scale = DURATION_UNITS[unit];
  if (scale === undefined) {
    throw new CodedError(
      "ERR_OPTION_INVALID",
      `${name} must be a duration such as 500ms, 30s or 5m, got ${JSON.stringify(text)}`,
    );
  }
  return Number(number) * scale;
}

/** A size in bytes for people: `1.5 MiB`. */
export function formatSize(bytes: number): string {
  const units = ["B", "KiB", "MiB", "GiB", "TiB"];
  let value = bytes;
  let unit = 0;
  while (value >= 1024 && unit < units.length - 1) {
    value /= 1024;
    unit++;
  }
  return unit === 0 ? `${bytes} B` : `${value.toFixed(1)} ${units[unit]}`;
}
