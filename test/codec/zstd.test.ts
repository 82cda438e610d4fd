import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { once } from "node:events";
import { describe, it } from "node:test";
import { Worker } from "node:worker_threads";
import { compressChunk } from "#src/codec/compress.js";
import { codecVersions } from "#src/codec/versions.js";
import { ROOT } from "../support/fixtures.ts";

/** A hook that makes the package look as if it was never installed. */
const HIDE_ZSTD = `import { register } from "node:module";
register("data:text/javascript," + encodeURIComponent(
  'export function resolve(specifier, context, next) {' +
  '  if (specifier.startsWith("zstd-napi")) throw new Error("not installed");' +
  '  return next(specifier, context);' +
  '}'));`;

const TRY_ALL = `
import { compressChunk } from "#src/codec/compress.js";
import { decompressChunk } from "#src/codec/decompress.js";
import { decompressLayer } from "#src/codec/layer-stream.js";
import { codecVersions } from "#src/codec/versions.js";
const found = {};
const attempt = async (name, run) => {
  try { await run(); found[name] = "done"; } catch (error) { found[name] = error.code; }
};
const bytes = new Uint8Array(1000);
async function* layer() { yield Uint8Array.of(0x28, 0xb5, 0x2f, 0xfd, 0x20, 0, 1, 0, 0); }
await attempt("lz4", () => decompressChunk("lz4_block", compressChunk("lz4_block", bytes).bytes, 1000));
await attempt("zstd in", () => decompressChunk("zstd", bytes, 1000));
await attempt("zstd out", () => compressChunk("zstd", bytes));
await attempt("zstd layer", async () => { for await (const _ of decompressLayer(layer())); });
process.stdout.write(JSON.stringify([found, codecVersions().zstd ?? null]));`;

describe("zstd", () => {
  it("alone is refused with ERR_CODEC_MISSING when zstd-napi is not installed", () => {
    const hook = `data:text/javascript,${encodeURIComponent(HIDE_ZSTD)}`;
    const args = ["--import", hook, "--input-type=module", "--eval", TRY_ALL];
    const printed = execFileSync(process.execPath, args, { cwd: ROOT, stdio: ["ignore", "pipe", "inherit"] });
    assert.deepEqual(JSON.parse(printed.toString()), [
      {
        lz4: "done",
        "zstd in": "ERR_CODEC_MISSING",
        "zstd out": "ERR_CODEC_MISSING",
        "zstd layer": "ERR_CODEC_MISSING",
      },
      null,
    ]);
  });

  it("gives the same bytes in worker threads that run at the same time", async () => {
    const script = `
      import { parentPort } from "node:worker_threads";
      import { compressChunk } from "${new URL("../../../dist/codec/compress.js", import.meta.url)}";
      const text = Buffer.from("worker thread ".repeat(20000));
      let last;
      for (let round = 0; round < 20; round++) last = compressChunk("zstd", text.subarray(round)).bytes;
      parentPort.postMessage(last);`;
    const url = new URL(`data:text/javascript,${encodeURIComponent(script)}`);
    const workers = [0, 1, 2].map(() => new Worker(url));
    const results = await Promise.all(
      workers.map(async (worker) => (await once(worker, "message"))[0] as Uint8Array),
    );
    await Promise.all(workers.map((worker) => worker.terminate()));
    const expected = compressChunk("zstd", Buffer.from("worker thread ".repeat(20000)).subarray(19)).bytes;
    for (const bytes of results) assert.deepEqual(Buffer.from(bytes), Buffer.from(expected));
  });
});

describe("codecVersions()", () => {
  it("names the version of every codec", () => {
    const versions = codecVersions();
    for (const [name, codec] of Object.entries(versions)) {
      assert.match(codec?.version ?? "", /\d+\.\d+|^lib\w+\.so/, name);
    }
  });
});
