import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { CodedError, type ErrorCode } from "#src/base/errors.js";
import type { BlobSource } from "#src/store/blob-source.js";
import { fallbackBlobs } from "#src/store/fallback-blobs.js";
import { DEMAND } from "../support/chunked-blob.ts";

const ID = "a".repeat(64);

function refusing(code: ErrorCode): BlobSource {
  const refuse = (): Promise<never> => Promise.reject(new CodedError(code, `says ${code}`));
  return { name: code, read: refuse, size: refuse };
}

const good: BlobSource = {
  name: "good",
  read: async () => Uint8Array.of(7),
  size: async () => 1,
};

describe("fallbackBlobs()", () => {
  it("asks the next place when one is missing, away or cut off, for sizes too", async () => {
    for (const code of ["ERR_BLOB_NOT_FOUND", "ERR_SOURCE_UNAVAILABLE", "ERR_BLOB_CORRUPT"] as const) {
      const blobs = fallbackBlobs([refusing(code), good]);
      assert.deepEqual(await blobs.read(ID, 0, 1, DEMAND), Uint8Array.of(7));
      assert.equal(await blobs.size(ID, DEMAND), 1);
    }
  });

  it("stops at a refusal and when the caller leaves", async () => {
    for (const code of ["ERR_REGISTRY_DENIED", "ERR_ABORTED"] as const) {
      await assert.rejects(fallbackBlobs([refusing(code), good]).read(ID, 0, 1, DEMAND), { code });
    }
  });

  it("fails with the most serious code when every place fails, and names all", async () => {
    const blobs = fallbackBlobs([
      refusing("ERR_BLOB_NOT_FOUND"),
      refusing("ERR_BLOB_CORRUPT"),
      refusing("ERR_SOURCE_UNAVAILABLE"),
    ]);
    await assert.rejects(blobs.read(ID, 0, 1, DEMAND), (error: CodedError) => {
      assert.equal(error.code, "ERR_BLOB_CORRUPT");
      assert.match(error.message, /NOT_FOUND.*CORRUPT.*UNAVAILABLE/);
      return true;
    });
  });
});
