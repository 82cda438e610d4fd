import { readFileSync } from "node:fs";
import { CodedError } from "#src/base/errors.js";
import type { BlobSource } from "#src/store/blob-source.js";
import { CachedBlobs } from "#src/store/cached-blobs.js";
import { DecodedSource } from "#src/store/decoded-source.js";
import { fixturePath } from "./fixtures.ts";
import { goldenCacheableBlobs } from "./golden-cacheable.ts";

/** What a source does to a read. */
export type Fault = "none" | "flip" | "gone" | "hang";

/** The blobs of one golden run, read from its folder, with a switch for faults. */
export class FaultySource implements BlobSource {
  readonly name = "golden";
  fault: Fault = "none";
  readonly #folder: readonly string[];

  constructor(...folder: readonly string[]) {
    this.#folder = folder;
  }

  bytes(blobId: string): Uint8Array {
    return readFileSync(fixturePath(...this.#folder, blobId));
  }

  async read(
    blobId: string,
    offset: number,
    length: number,
    options: { readonly signal: AbortSignal },
  ): Promise<Uint8Array> {
    if (this.fault === "gone") throw new CodedError("ERR_SOURCE_UNAVAILABLE", "golden is gone");
    if (this.fault === "hang") {
      await new Promise((_, reject) => {
        options.signal.addEventListener("abort", () => reject(new CodedError("ERR_ABORTED", "aborted")));
      });
    }
    const bytes = this.bytes(blobId).slice(offset, offset + length);
    return this.fault === "flip" ? bytes.map((byte) => byte ^ 1) : bytes;
  }

  async size(blobId: string): Promise<number> {
    return this.bytes(blobId).length;
  }
}

/** Opens a cache for all blobs of a golden run, which are read from `source`. */
export function openGoldenCache(run: string, source: FaultySource, directory: string): CachedBlobs {
  const blobs = goldenCacheableBlobs(run);
  return new CachedBlobs({
    load: async (index) => {
      const blob = blobs[index];
      if (blob === undefined) throw new Error(`${run} has no blob ${index}`);
      return blob;
    },
    source: new DecodedSource(source),
    directory,
  });
}
