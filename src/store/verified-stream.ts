import { createHash } from "node:crypto";
import type { Digest } from "../base/digest.ts";
import { CodedError } from "../base/errors.ts";

/** What stored bytes must turn out to be. */
export interface Expected {
  readonly digest: Digest;
  /** Bytes. */
  readonly size: number;
}

/**
 * Passes pieces on and fails at the end when digest or size is not the expected one, or earlier when
 * there are more bytes than expected.
 *
 * The piece that completes the size is held back until the digest is right, so nobody gets all bytes of
 * a wrong blob. Keep nothing of a stream that failed.
 *
 * @param place Where the bytes come from, for the message.
 * @throws {CodedError} ERR_DIGEST_MISMATCH.
 */
export async function* verifiedStream(
  pieces: AsyncIterable<Uint8Array>,
  expected: Expected,
  place: string,
): AsyncGenerator<Uint8Array, void, undefined> {
  const sha256 = createHash("sha256");
  let size = 0;
  let last: Uint8Array | undefined;
  for await (const piece of pieces) {
    size += piece.length;
    if (size > expected.size) {
      throw new CodedError(
        "ERR_DIGEST_MISMATCH",
        `${expected.digest} from ${place} has more than its ${expected.size} bytes`,
      );
    }
    sha256.update(piece);
    if (size < expected.size) yield piece;
    else if (piece.length > 0) last = piece;
  }
  const digest = `sha256:${sha256.digest("hex")}`;
  if (size !== expected.size || digest !== expected.digest) {
    throw new CodedError(
      "ERR_DIGEST_MISMATCH",
      `${expected.digest} of ${expected.size} bytes from ${place} is ${digest} of ${size} bytes`,
    );
  }
  if (last !== undefined) yield last;
}

/**
 * All bytes of a stream.
 *
 * @throws {CodedError} ERR_LIMIT_EXCEEDED when there are more than `maximum`.
 */
export async function collectBytes(
  pieces: AsyncIterable<Uint8Array>,
  maximum: number,
  what: string,
): Promise<Uint8Array> {
  const parts: Uint8Array[] = [];
  let size = 0;
  for await (const piece of pieces) {
    size += piece.length;
    if (size > maximum) {
      throw new CodedError("ERR_LIMIT_EXCEEDED", `${what} has over ${maximum} bytes`);
    }
    parts.push(piece);
  }
  return Buffer.concat(parts, size);
}

/** The digest of bytes. */
export function digestOf(bytes: Uint8Array): Digest {
  return `sha256:${createHash("sha256").update(bytes).digest("hex")}`;
}
