import { createHash, hash } from "node:crypto";
import { Blake3Hasher, blake3 } from "@napi-rs/blake-hash";
import type { Digester } from "../base/algorithm.ts";

/** Bytes of every digest: blake3 (plain, 32 bytes) and sha256. */
export const DIGEST_LENGTH = 32;

/** The digest that names a chunk: 32 bytes over its decoded bytes. */
export function digestChunk(digester: Digester, bytes: Uint8Array): Uint8Array {
  return digester === "blake3" ? plain(blake3(bufferOf(bytes))) : sha256(bytes);
}

/** The 32 bytes of SHA-256 over `bytes`. */
export function sha256(bytes: Uint8Array): Uint8Array {
  return plain(hash("sha256", bytes, "buffer"));
}

/** A digest over bytes that come in pieces. */
export interface RunningDigest {
  update(bytes: Uint8Array): void;
  /** The 32 bytes over everything so far; the last call on the object. */
  digest(): Uint8Array;
}

/** As {@link digestChunk}, for a chunk that comes in pieces. */
export function createChunkDigest(digester: Digester): RunningDigest {
  if (digester === "sha256") return createSha256();
  const state = new Blake3Hasher();
  return {
    update: (bytes) => {
      state.update(bufferOf(bytes));
    },
    digest: () => plain(state.digestBuffer()),
  };
}

/** Starts a SHA-256 over bytes that come in pieces. */
export function createSha256(): RunningDigest {
  const state = createHash("sha256");
  return {
    update: (bytes) => {
      state.update(bytes);
    },
    digest: () => plain(state.digest()),
  };
}

/** The package takes Buffers only; this is a view, not a copy. */
function bufferOf(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

function plain(buffer: Buffer): Uint8Array {
  return new Uint8Array(buffer.buffer, buffer.byteOffset, buffer.byteLength);
}
