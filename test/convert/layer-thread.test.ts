import assert from "node:assert/strict";
import { readdir, readlink } from "node:fs/promises";
import { join } from "node:path";
import { describe, it } from "node:test";
import { setTimeout as wait } from "node:timers/promises";
import { gzipSync } from "node:zlib";
import { CodedError } from "#src/base/errors.js";
import { digestChunk } from "#src/codec/digest.js";
import type { ChunkBatch } from "#src/convert/chunk-cutter.js";
import { ChunkLanes } from "#src/convert/chunk-lanes.js";
import { convertLayer, tarLayer } from "#src/convert/convert-layer.js";
import { checkConvertOptions } from "#src/convert/convert-options.js";
import { type LayerReceiver, LayerThread } from "#src/convert/layer-thread.js";
import { unpackEntries } from "#src/convert/packed-entries.js";
import type { ImageSource } from "#src/store/image-source.js";
import { inPieces } from "../support/layers.ts";
import { sha256Of } from "../support/made-image.ts";
import { tarMember } from "../support/tar-builder.ts";
import { temporaryDirectory } from "../support/temporary-directory.ts";

const { signal } = new AbortController();
const THREAD = {
  chunkSize: 4096,
  compressor: "zstd",
  digester: "blake3",
  bufferCount: 3,
  bufferSize: 65_536,
} as const;
const WATCH = { onRead: () => {}, onWait: () => {}, onWarning: () => {} };

/** Bytes that do not repeat within a layer and compress a little. */
function contentOf(size: number, seed: number): Buffer {
  const bytes = Buffer.alloc(size);
  let state = seed + 1;
  for (let index = 0; index < size; index++) {
    state = (state * 48_271) % 0x7fff_ffff;
    bytes[index] = (state >> 8) & 0x3f;
  }
  return bytes;
}

/** A tar of files `file-0` and on. */
function tarOf(sizes: readonly number[]): Buffer {
  const members = sizes.map((size, index) => tarMember({ name: `file-${index}` }, contentOf(size, index)));
  return Buffer.concat([...members, Buffer.alloc(1024)]);
}

/** Stores at once, and keeps what came. */
function keepingReceiver() {
  const chunks: Buffer[] = [];
  const receiver: LayerReceiver = {
    store: async ({ buffer, sizes }: ChunkBatch) => {
      let offset = 0;
      for (const size of sizes) {
        chunks.push(Buffer.from(buffer.subarray(offset, offset + size)));
        offset += size;
      }
      return buffer;
    },
    onWarning: () => {},
  };
  return { chunks, receiver };
}

describe("LayerThread", () => {
  it("scans layers one after the other", async () => {
    await using thread = new LayerThread(THREAD);
    for (const sizes of [[10, 200_000, 0, 4096], [1_000_000], [], [7, 7]]) {
      const tar = tarOf(sizes);
      const { chunks, receiver } = keepingReceiver();
      const stored = gzipSync(tar, { level: 1 });
      const layer = await thread.scan(() => inPieces(stored, 10_007), receiver, signal);
      assert.equal(layer.diffId, sha256Of(tar));
      const expected = sizes.flatMap((size, index) => {
        const content = contentOf(size, index);
        return Array.from({ length: Math.ceil(size / 4096) }, (_, at) =>
          content.subarray(at * 4096, at * 4096 + 4096),
        );
      });
      assert.deepEqual(chunks, expected);
      const digests = expected.map((chunk) => digestChunk("blake3", chunk));
      assert.deepEqual(Buffer.from(layer.digests), Buffer.concat(digests));
      const rows = digests.map((digest, index) => ({ index, digest })) as never;
      const packs = await thread.inWork(signal).takeEntries();
      const entries = [...unpackEntries(packs, rows)];
      assert.deepEqual(
        entries.map((entry) => [entry.path, entry.type === "file" ? entry.size : undefined]),
        sizes.map((size, index) => [`file-${index}`, size]),
      );
    }
  });

  it("takes no more of its source, and sends no more batches, than there are buffers", async () => {
    await using thread = new LayerThread(THREAD);
    const tar = tarOf([4_000_000]);
    let read = 0;
    async function* source(): AsyncGenerator<Uint8Array> {
      for await (const piece of inPieces(tar)) {
        read += piece.length;
        yield piece;
      }
    }
    const batches: ChunkBatch[] = [];
    let release = (): void => {};
    const released = new Promise<void>((resolve) => {
      release = resolve;
    });
    const receiver: LayerReceiver = {
      store: async (batch) => {
        batches.push(batch);
        await released;
        return batch.buffer;
      },
      onWarning: () => {},
    };
    const scanning = thread.scan(source, receiver, signal);
    // A thread takes its time to start; then nothing more may come.
    while (batches.length < THREAD.bufferCount) await wait(5);
    for (let last = -1; last !== read; await wait(150)) last = read;
    assert.equal(batches.length, THREAD.bufferCount);
    // Four messages of stored bytes, a piece that waits for the next one, and what is in the batches.
    const bound = 5 * 2 ** 18 + 65_536 + THREAD.bufferCount * THREAD.bufferSize;
    assert.ok(read > 0 && read <= bound, `${read} bytes were read, at most ${bound} are in flight`);
    release();
    await scanning;
    assert.equal(read, tar.length);
  });

  it("throws what its source throws, and stops the source when the layer is broken", async () => {
    const { receiver } = keepingReceiver();
    const failing = async function* (): AsyncGenerator<Uint8Array> {
      yield tarOf([100]).subarray(0, 700);
      throw new CodedError("ERR_DIGEST_MISMATCH", "other bytes");
    };
    await using one = new LayerThread(THREAD);
    await assert.rejects(one.scan(failing, receiver, signal), { code: "ERR_DIGEST_MISMATCH" });
    let isStopped = false;
    const endless = async function* (stop: AbortSignal): AsyncGenerator<Uint8Array> {
      stop.addEventListener("abort", () => {
        isStopped = true;
      });
      yield Buffer.alloc(300_000, "no tar");
      while (!isStopped) await wait(5);
    };
    await using two = new LayerThread(THREAD);
    await assert.rejects(two.scan(endless, receiver, signal), { code: "ERR_LAYER_INVALID" });
    assert.equal(isStopped, true);
  });

  it("throws what storing throws", async () => {
    await using thread = new LayerThread(THREAD);
    const { receiver } = keepingReceiver();
    const full = { ...receiver, store: () => Promise.reject(new CodedError("ERR_TARGET_IO", "disk full")) };
    const source = () => inPieces(tarOf([4_000_000]));
    await assert.rejects(thread.scan(source, full, signal), { code: "ERR_TARGET_IO" });
  });

  it("is aborted in the middle of a layer", async () => {
    await using thread = new LayerThread(THREAD);
    const stop = new AbortController();
    const { receiver } = keepingReceiver();
    const stalled: LayerReceiver = {
      ...receiver,
      store: () => {
        stop.abort();
        return new Promise(() => {});
      },
    };
    const source = () => inPieces(tarOf([4_000_000]));
    await assert.rejects(thread.scan(source, stalled, stop.signal), { code: "ERR_ABORTED" });
  });

  it("fails the layer when it dies, and every later one", async () => {
    const thread = new LayerThread(THREAD);
    const { receiver } = keepingReceiver();
    const dying: LayerReceiver = {
      ...receiver,
      store: async ({ buffer }) => {
        await thread[Symbol.asyncDispose]();
        return buffer;
      },
    };
    const source = () => inPieces(tarOf([4_000_000]));
    const code = "ERR_WORKER_FAILED";
    await assert.rejects(thread.scan(source, dying, signal), { code });
    await assert.rejects(thread.scan(source, receiver, signal), { code });
  });
});

describe("convertLayer()", () => {
  const tar = tarOf([3_000_000, 1, 0, 77, 4096, 3_000_001, 77, ...Array(300).fill(1000)]);
  const descriptor = { mediaType: "", digest: sha256Of(tar), size: tar.length };

  function sourceOf(open: () => AsyncIterable<Uint8Array>): ImageSource {
    return { openBlob: open } as unknown as ImageSource;
  }

  it("gives one digest for every number of jobs, in whatever pieces and with whatever delays bytes come", async () => {
    await using directory = await temporaryDirectory();
    const digests = new Set<string>();
    for (const jobs of [1, 2, 3, 4]) {
      const options = checkConvertOptions({ jobs, chunkSize: 65_536 });
      await using lanes = new ChunkLanes(options);
      const source = sourceOf(async function* () {
        let offset = 0;
        for (let size = 1 + jobs * 1000; offset < tar.length; size = (size * 7) % 300_007) {
          yield tar.subarray(offset, offset + size);
          offset += size;
          if (offset % 3 === 0) await wait(1);
        }
      });
      const input = tarLayer(source, descriptor, sha256Of(tar), WATCH);
      const path = join(directory.path, `blob-${jobs}`);
      digests.add((await convertLayer(input, path, lanes, options, signal)).file.digest);
    }
    assert.equal(digests.size, 1);
  });

  it("fails when the threads die in the middle of a layer, and holds nothing open", async () => {
    await using directory = await temporaryDirectory();
    const options = checkConvertOptions({ jobs: 2, chunkSize: 65_536 });
    const lanes = new ChunkLanes(options);
    const source = sourceOf(async function* () {
      yield tar.subarray(0, 2_000_000);
      await lanes[Symbol.asyncDispose]();
      yield tar.subarray(2_000_000);
    });
    const input = tarLayer(source, descriptor, sha256Of(tar), WATCH);
    const path = join(directory.path, "blob");
    const code = "ERR_WORKER_FAILED";
    await assert.rejects(convertLayer(input, path, lanes, options, signal), { code });
    const open = await Promise.all(
      (await readdir("/proc/self/fd")).map((fd) => readlink(`/proc/self/fd/${fd}`).catch(() => "")),
    );
    assert.ok(!open.includes(path));
  });

  it("refuses a layer with another diff id", async () => {
    await using directory = await temporaryDirectory();
    const options = checkConvertOptions({ jobs: 1 });
    await using lanes = new ChunkLanes(options);
    const input = tarLayer(
      sourceOf(() => inPieces(tar)),
      descriptor,
      sha256Of(Buffer.alloc(1)),
      WATCH,
    );
    await assert.rejects(convertLayer(input, join(directory.path, "blob"), lanes, options, signal), {
      code: "ERR_DIGEST_MISMATCH",
    });
  });
});
