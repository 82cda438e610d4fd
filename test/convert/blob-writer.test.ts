import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { after, describe, it } from "node:test";
import { ChunkWorkers } from "#src/codec/chunk-workers.js";
import { compressChunk } from "#src/codec/compress.js";
import { digestChunk } from "#src/codec/digest.js";
import { type BlobFile, type BlobOptions, BlobWriter } from "#src/convert/blob-writer.js";
import type { CutChunks } from "#src/convert/chunk-cutter.js";
import { readBackBlob } from "#src/convert/read-back-blob.js";
import { decodeBlobMetaFile } from "#src/format/blob/blob-meta-file.js";
import { findBlobSections } from "#src/format/blob/blob-sections.js";
import { sha256Of } from "../support/made-image.ts";
import { temporaryDirectory } from "../support/temporary-directory.ts";

const signal = new AbortController().signal;
const workers = new ChunkWorkers(2);
after(() => workers[Symbol.asyncDispose]());
const OPTIONS: BlobOptions = { compressor: "zstd", level: 3, digester: "blake3", chunkSize: 65536 };
const BOOTSTRAP = new Uint8Array(8192).fill(7);

const noise = (size: number): Uint8Array => new Uint8Array(randomBytes(size));
const text = (size: number): Uint8Array => new Uint8Array(size).fill(97);

/** Appends chunks as one batch. */
async function append(
  writer: BlobWriter,
  chunks: readonly Uint8Array[],
  options: BlobOptions,
): Promise<void> {
  const stored = chunks.map((chunk) => compressChunk(options.compressor, chunk, options.level).bytes);
  await writer.append(
    Buffer.concat(stored),
    Uint32Array.from(stored, ({ length }) => length),
    Uint32Array.from(chunks, ({ length }) => length),
  );
}

function cutOf(chunks: readonly Uint8Array[], { digester }: BlobOptions): CutChunks {
  const digests = new Uint8Array(Buffer.concat(chunks.map((chunk) => digestChunk(digester, chunk))));
  return { digests, duplicates: { count: 0, size: 0 } };
}

async function writeBlob(
  path: string,
  chunks: readonly Uint8Array[],
  options: BlobOptions = OPTIONS,
): Promise<BlobFile> {
  await using writer = await BlobWriter.create(path, options);
  for (const chunk of chunks) await append(writer, [chunk], options);
  return await writer.finish(cutOf(chunks, options), async () => BOOTSTRAP);
}

async function sectionNames(path: string): Promise<string[]> {
  const bytes = await readFile(path);
  const { sections } = await findBlobSections(bytes.length, async (offset, length) =>
    bytes.subarray(offset, offset + length),
  );
  return [...sections.keys()];
}

describe("BlobWriter", () => {
  for (const compressor of ["zstd", "lz4_block", "none"] as const) {
    it(`writes chunks with ${compressor} that decode to the same bytes`, async () => {
      await using directory = await temporaryDirectory();
      const path = join(directory.path, "blob");
      const chunks = [text(65536), noise(65536), text(1), noise(4097), text(5000)];
      const options = { ...OPTIONS, compressor };
      const file = await writeBlob(path, chunks, options);
      const readBack = await readBackBlob(path, options, workers, signal);
      assert.deepEqual(
        chunks.map((_, index) => readBack.digests.slice(index * 32, index * 32 + 32)),
        chunks.map((chunk) => digestChunk("blake3", chunk)),
      );
      assert.deepEqual([...readBack.table.decodedOffsets], [0, 65536, 131072, 135168, 143360]);
      assert.deepEqual(readBack.bootstrap, BOOTSTRAP);
      assert.deepEqual(file.blob?.chunkInformation, readBack.chunkInformation);
      assert.equal(file.blob?.decodedSize, readBack.decodedSize);
      assert.equal(file.digest, sha256Of(await readFile(path)));
    });
  }

  it("has every section in the order of nydusify", async () => {
    await using directory = await temporaryDirectory();
    const path = join(directory.path, "blob");
    await writeBlob(path, [text(100)]);
    assert.deepEqual(await sectionNames(path), [
      "image.blob",
      "blob.meta",
      "blob.meta.header",
      "blob.digest",
      "image.boot",
    ]);
  });

  it("has a bootstrap and a table of contents only when there are no chunks", async () => {
    await using directory = await temporaryDirectory();
    const path = join(directory.path, "blob");
    const file = await writeBlob(path, []);
    assert.deepEqual(await sectionNames(path), ["image.boot"]);
    assert.deepEqual({ blob: file.blob, metaFile: file.metaFile }, { blob: undefined, metaFile: undefined });
    assert.deepEqual((await readBackBlob(path, OPTIONS, workers, signal)).bootstrap, BOOTSTRAP);
  });

  it("does not tell in how many batches its chunks came", async () => {
    await using directory = await temporaryDirectory();
    const chunks = Array.from({ length: 3000 }, (_, index) =>
      index % 3 === 0 ? noise(9) : text(40 + index),
    );
    const one = await writeBlob(join(directory.path, "one"), chunks);
    await using writer = await BlobWriter.create(join(directory.path, "two"), OPTIONS);
    await append(writer, chunks.slice(0, 1500), OPTIONS);
    await append(writer, chunks.slice(1500), OPTIONS);
    const two = await writer.finish(cutOf(chunks, OPTIONS), async () => BOOTSTRAP);
    assert.equal(two.digest, one.digest);
    assert.equal(two.blob?.chunkCount, 3000);
  });

  it("gives the chunk information as bootstrap layers carry it", async () => {
    await using directory = await temporaryDirectory();
    const path = join(directory.path, "blob");
    const file = await writeBlob(path, [text(100), noise(9000)]);
    const meta = decodeBlobMetaFile(file.metaFile ?? new Uint8Array(0));
    assert.equal(meta.header.chunkCount, 2);
    assert.equal(meta.chunkInformation.length, 32);
  });

  it("refuses to write over a file", async () => {
    await using directory = await temporaryDirectory();
    const path = join(directory.path, "blob");
    await writeBlob(path, []);
    await assert.rejects(writeBlob(path, []), { code: "ERR_TARGET_IO" });
  });
});

describe("readBackBlob()", () => {
  it("finds every flipped byte of chunks, chunk information, digests and bootstrap", async () => {
    await using directory = await temporaryDirectory();
    const path = join(directory.path, "blob");
    await writeBlob(path, [text(5000), noise(3000), noise(300)]);
    const bytes = await readFile(path);
    const { sections } = await findBlobSections(bytes.length, async (offset, length) =>
      bytes.subarray(offset, offset + length),
    );
    const missed: string[] = [];
    for (const [name, { offset, storedSize }] of sections) {
      for (let step = 0; step < 8; step++) {
        const position = offset + Math.floor((storedSize * step) / 8);
        const broken = Buffer.from(bytes);
        broken[position] = (broken[position] ?? 0) ^ 0xff;
        await writeFile(path, broken);
        const outcome = await readBackBlob(path, OPTIONS, workers, signal).then(
          () => "accepted",
          (error: { code?: string }) => error.code,
        );
        if (outcome === undefined || !/^ERR_(BLOB|CHUNK)_CORRUPT$|^ERR_CODEC_FAILED$/.test(outcome)) {
          missed.push(`${name} at ${position - offset}: ${outcome}`);
        }
      }
    }
    assert.deepEqual(missed, []);
  });
});
