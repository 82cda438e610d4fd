import { createHash } from "node:crypto";
import { gunzipSync } from "node:zlib";
import { blake3 } from "@napi-rs/blake-hash";
import { uncompressSync } from "lz4-napi";
import { decompress } from "zstd-napi";
import type { Compressor, Digester } from "#src/base/algorithm.js";

// The packages themselves: what these tests say must not depend on our own codecs.

/** Decodes one stored unit of a blob. */
export function decodeStored(compressor: Compressor, stored: Uint8Array, decodedSize: number): Uint8Array {
  if (compressor === "none") return stored;
  if (compressor === "zstd") return decompress(stored);
  if (compressor === "gzip") return gunzipSync(stored);
  const sized = new Uint8Array(stored.length + 4);
  new DataView(sized.buffer).setUint32(0, decodedSize, true);
  sized.set(stored, 4);
  return uncompressSync(sized);
}

/** 32 bytes over `bytes`. */
export function digestOf(digester: Digester, bytes: Uint8Array): Uint8Array {
  const digest =
    digester === "sha256" ? createHash("sha256").update(bytes).digest() : blake3(Buffer.from(bytes));
  return new Uint8Array(digest);
}
