import { CodedError } from "../../base/errors.ts";
import { MAX_JSON_DEPTH } from "./limits.ts";

/** Any object of a JSON document. */
export type JsonObject = Readonly<Record<string, unknown>>;

const decoder = new TextDecoder("utf-8", { fatal: true });
const encoder = new TextEncoder();

/** True for `{…}`: neither null nor an array. */
export function isJsonObject(value: unknown): value is JsonObject {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/**
 * Reads a JSON object out of bytes that a stranger wrote.
 *
 * @param what Names the document in messages: `manifest sha256:…`.
 * @throws {CodedError} ERR_LIMIT_EXCEEDED over `maxSize` bytes or {@link MAX_JSON_DEPTH} levels,
 *   ERR_IMAGE_INVALID when the bytes are not UTF-8 JSON or not an object.
 */
export function decodeJsonObject(bytes: Uint8Array, what: string, maxSize: number): JsonObject {
  if (bytes.length > maxSize) {
    throw new CodedError(
      "ERR_LIMIT_EXCEEDED",
      `${what} has ${bytes.length} bytes, at most ${maxSize} are read`,
    );
  }
  checkDepth(bytes, what);
  let value: unknown;
  try {
    value = JSON.parse(decoder.decode(bytes));
  } catch (cause) {
    throw new CodedError("ERR_IMAGE_INVALID", `${what} is not JSON in UTF-8`, { cause });
  }
  if (!isJsonObject(value)) throw new CodedError("ERR_IMAGE_INVALID", `${what} is not a JSON object`);
  return value;
}

/**
 * The compact JSON of a value, keys in the order they stand in and `undefined` left out: the same
 * value gives the same bytes, hence the same digest.
 */
export function encodeJson(value: unknown): Uint8Array {
  return encoder.encode(JSON.stringify(value));
}

/** A copy with its keys in ascending order. */
export function sortedKeys<Value>(record: Readonly<Record<string, Value>>): Record<string, Value> {
  return Object.fromEntries(
    Object.entries(record).sort(([left], [right]) => (left < right ? -1 : left > right ? 1 : 0)),
  );
}

// Encoding recurses: a document of a million brackets would parse and then overflow the stack.
function checkDepth(bytes: Uint8Array, what: string): void {
  let depth = 0;
  let isInString = false;
  for (let index = 0; index < bytes.length; index++) {
    const byte = bytes[index];
    if (isInString) {
      if (byte === 0x5c) index++;
      else if (byte === 0x22) isInString = false;
    } else if (byte === 0x22) isInString = true;
    else if (byte === 0x7b || byte === 0x5b) {
      if (++depth > MAX_JSON_DEPTH) {
        throw new CodedError("ERR_LIMIT_EXCEEDED", `${what} nests deeper than ${MAX_JSON_DEPTH} levels`);
      }
    } else if (byte === 0x7d || byte === 0x5d) depth--;
  }
}
