// What each stage of a conversion costs by itself: the layers of an image, one after the other, through the code of
// the converter, in one thread, with a clock around every stage.
// Usage: node stages.mjs COMPRESSOR WORK-FOLDER LAYER-FILE...; prints CPU seconds by stage as JSON.
import { createReadStream, openSync, readSync, rmSync, writeSync } from "node:fs";
import { join } from "node:path";
import { BufferPool } from "../../../dist/codec/buffer-pool.js";
import { compressScratch } from "../../../dist/codec/compress.js";
import { decompressChunk } from "../../../dist/codec/decompress.js";
import { createSha256, digestChunk } from "../../../dist/codec/digest.js";
import { decompressLayer } from "../../../dist/codec/layer-stream.js";
import { readLayer } from "../../../dist/convert/layer-reader.js";
import { scanItems } from "../../../dist/convert/scan-layer.js";

const [compressor, work, ...layers] = process.argv.slice(2);
const { signal } = new AbortController();
const seconds = {};
let inner = 0;

/** Runs `work`, counts its CPU seconds, and keeps them out of the stage around it. */
function count(stage, run) {
  const outer = inner;
  const start = process.cpuUsage();
  inner = 0;
  const done = (result) => {
    const { user, system } = process.cpuUsage(start);
    const spent = (user + system) / 1e6;
    seconds[stage] = (seconds[stage] ?? 0) + spent - inner;
    inner = outer + spent;
    return result;
  };
  const result = run();
  return result instanceof Promise ? result.then(done) : done(result);
}

/** The same pieces; what making them costs is counted. */
async function* counted(stage, pieces, sum) {
  const iterator = pieces[Symbol.asyncIterator]();
  for (;;) {
    const next = await count(stage, () => iterator.next());
    if (next.done) return;
    if (sum !== undefined) count(sum.stage, () => sum.sha256.update(next.value));
    yield next.value;
  }
}

const target = new Uint8Array(2 ** 20);
for (const layer of layers) {
  const path = join(work, "stages.blob");
  const fd = openSync(path, "w+");
  const buffers = new BufferPool(1, 2 ** 20);
  const written = createSha256();
  let end = 0;
  const onBatch = ({ buffer, sizes }) => {
    const sizesStored = [];
    const stored = [];
    count("compress", () => {
      let offset = 0;
      for (const size of sizes) {
        const chunk = buffer.subarray(offset, offset + size);
        const bytes = compressScratch(compressor, chunk, 3)?.slice() ?? chunk;
        stored.push(bytes);
        sizesStored.push(bytes.length);
        offset += size;
      }
    });
    const whole = Buffer.concat(stored);
    count("digest of the blob", () => written.update(whole));
    count("write", () => writeSync(fd, whole));
    count("verify: read, decode, digest", () => {
      const back = Buffer.allocUnsafe(whole.length);
      readSync(fd, back, 0, back.length, end);
      let offset = 0;
      for (const [index, size] of sizes.entries()) {
        const bytes = back.subarray(offset, offset + sizesStored[index]);
        const codec = bytes.length === size ? "none" : compressor;
        digestChunk("blake3", decompressChunk(codec, bytes, size, target));
        offset += bytes.length;
      }
    });
    end += whole.length;
    buffers.give(buffer);
  };
  const file = counted("read the layer", createReadStream(layer, { highWaterMark: 2 ** 18 }), {
    stage: "digest of the layer",
    sha256: createSha256(),
  });
  const tar = counted("inflate", decompressLayer(file), { stage: "diff id", sha256: createSha256() });
  const items = readLayer(tar);
  const options = { buffers, signal, chunkSize: 2 ** 20, digester: "blake3" };
  await count("tar, chunks and their digests", () =>
    scanItems(items, { onBatch, onEntries: () => {} }, options),
  );
  rmSync(path);
}
console.log(JSON.stringify(seconds));
