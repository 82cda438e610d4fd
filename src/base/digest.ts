import { CodedError } from "./errors.ts";

/** `sha256:` and 64 lower-case hex digits: the name of stored bytes, as OCI writes it. */
export type Digest = `sha256:${string}`;

const HEX_64 = /^[0-9a-f]{64}$/;

/**
 * True for 64 lower-case hex digits.
 *
 * Blob ids reach file names, URLs and mount options: nothing else may stand there.
 */
export function isBlobId(text: string): boolean {
  return HEX_64.test(text);
}

/**
 * Reads a digest.
 *
 * @throws {CodedError} ERR_IMAGE_INVALID when `text` is not `sha256:` and 64 hex digits.
 */
export function parseDigest(text: string): Digest {
  if (!text.startsWith("sha256:") || !isBlobId(text.slice(7))) {
    throw new CodedError("ERR_IMAGE_INVALID", `digest ${JSON.stringify(text)} is not sha256:<64 hex digits>`);
  }
  return text as Digest;
}

/** The 64 hex digits of a digest: the blob id. */
export function digestHex(digest: Digest): string {
  return digest.slice(7);
}

/** The digest whose hex digits are `hex`. */
export function digestFromHex(hex: string): Digest {
  return parseDigest(`sha256:${hex}`);
}
