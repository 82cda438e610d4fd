import { createHash, hash } from "node:crypto";
import { blake3 } from "@napi-rs/blake-hash";
import type { Digester } from "../base/algorithm.ts";

/** Bytes of every digest: blake3 (plain, 32 bytes) and sha256. */
export const DIGEST_LENGTH = 32;

/** The digest that names a chunk: 32 bytes over its decoded bytes. */
export function digestChunk(digester: Digester, bytes: Uint8Array): Uint8Array {
  // The package takes Buffers only; this is a view, not a copy.
  const view = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  return digester === "blake3" ? plain(blake3(view)) : sha256(bytes);
}

/** The 32 bytes of SHA-256 over `bytes`. */
export function sha256(bytes: Uint8Array): Uint8Array {
  return plain(hash("sha256", bytes, "buffer"));
}

/** SHA-256 over bytes that come in pieces. */
export interface Sha256 {
  update(bytes: Uint8Array): void;
  /** The 32 bytes over everything so far; the last call on the object. */
  digest(): Uint8Array;
}

/** Starts a SHA-256 over bytes that come in pieces. */
export function createSha256(): Sha256 {
  const state = createHash("sha256");
  return {
    update: (bytes) => {
      state.update(bytes);
    },
    digest: () => plain(state.digest()),
  };
}

function plain(buffer: Buffer): Uint8Array {
  return new Uint8Array(buffer.buffer, buffer.byteOffset, buffer.byteLength);
}
