import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, it } from "node:test";
import { gunzipSync } from "node:zlib";
import { writeBootstrapLayer } from "#src/convert/bootstrap-layer.js";
import { sha256Of } from "../support/made-image.ts";
import { temporaryDirectory } from "../support/temporary-directory.ts";

const signal = new AbortController().signal;
const META = { blobId: "ab".repeat(32), metaFile: new Uint8Array(8192).fill(3) };

describe("writeBootstrapLayer()", () => {
  it("names the digests of the file and of the tar in it", async () => {
    await using directory = await temporaryDirectory();
    const path = join(directory.path, "layer");
    const layer = await writeBootstrapLayer(path, new Uint8Array(300_000).fill(1), [META], signal);
    const bytes = await readFile(path);
    assert.equal(layer.digest, sha256Of(bytes));
    assert.equal(layer.size, bytes.length);
    assert.equal(layer.diffId, sha256Of(gunzipSync(bytes)));
  });

  it("has neither a time nor the system it was made on in its gzip header", async () => {
    await using directory = await temporaryDirectory();
    const path = join(directory.path, "layer");
    await writeBootstrapLayer(path, new Uint8Array(4096), [], signal);
    assert.equal((await readFile(path)).subarray(0, 10).toString("hex"), "1f8b08000000000000ff");
  });

  it("stops when it is interrupted before or while it writes", async () => {
    await using directory = await temporaryDirectory();
    const path = join(directory.path, "layer");
    await assert.rejects(writeBootstrapLayer(path, new Uint8Array(4096), [], AbortSignal.abort()), {
      code: "ERR_ABORTED",
    });
    const controller = new AbortController();
    const writing = writeBootstrapLayer(path, new Uint8Array(4_000_000), [META], controller.signal);
    setImmediate(() => controller.abort());
    await assert.rejects(writing, { code: "ERR_ABORTED" });
  });

  it("says that the file cannot be written", async () => {
    await using directory = await temporaryDirectory();
    const path = join(directory.path, "missing", "layer");
    await assert.rejects(writeBootstrapLayer(path, new Uint8Array(4096), [META], signal), {
      code: "ERR_TARGET_IO",
    });
  });
});
