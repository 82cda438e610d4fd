import assert from "node:assert/strict";
import { closeSync, mkdtempSync, openSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, describe, it } from "node:test";
import type { FillTask } from "#src/codec/chunk-tasks.js";
import { ChunkFiller } from "#src/codec/fill-chunks.js";
import { fillTask } from "#src/store/decode-task.js";
import { planRequests } from "#src/store/request-plan.js";
import { makeBlob } from "../support/chunked-blob.ts";

const made = makeBlob(12);
const { blob, chunks, stored } = made;
const folder = mkdtempSync(join(tmpdir(), "nydus-fill-"));
const path = join(folder, "data");

after(() => rmSync(folder, { recursive: true }));

/** Fills chunks into a file of 0xee; gives what came of it and the file. */
function fill(bytes: Uint8Array, change: (task: FillTask) => FillTask = (task) => task) {
  writeFileSync(path, Buffer.alloc(blob.decodedSize, 0xee));
  const fd = openSync(path, "r+");
  try {
    const run = { first: 2, count: 8 };
    const [request] = planRequests(blob.table, run, 2 ** 20);
    assert.ok(request !== undefined);
    const shared = bytes.subarray(request.offset, request.offset + request.length);
    const filled = new ChunkFiller().fill(change(fillTask(blob, run, request, shared, { fd, path })));
    return { filled, file: readFileSync(path) };
  } finally {
    closeSync(fd);
  }
}

function chunkIn(file: Buffer, index: number): Buffer {
  const start = blob.table.decodedOffsets[index] as number;
  return file.subarray(start, start + (chunks[index] as Uint8Array).length);
}

describe("ChunkFiller", () => {
  it("writes proven chunks to their places, with zeros between them, and nothing beside them", () => {
    const { filled, file } = fill(stored);
    assert.equal(filled.failed, undefined);
    for (let index = 2; index < 10; index++) {
      assert.deepEqual(chunkIn(file, index), Buffer.from(chunks[index] as Uint8Array));
    }
    const end = (blob.table.decodedOffsets[2] as number) + (chunks[2] as Uint8Array).length;
    assert.ok(file.subarray(end, blob.table.decodedOffsets[3]).every((byte) => byte === 0));
    const { decodedOffsets } = blob.table;
    assert.ok(file.subarray(0, decodedOffsets[2]).every((byte) => byte === 0xee));
    assert.ok(file.subarray(decodedOffsets[10]).every((byte) => byte === 0xee));
  });

  it("writes none from the first wrong chunk on, and tells its digest or why it does not decode", () => {
    const raw = 5;
    const compressed = 6;
    for (const [index, has] of [
      [raw, "digest"],
      [compressed, "failure"],
    ] as const) {
      const bad = stored.slice();
      const at = blob.table.storedOffsets[index] as number;
      for (let offset = 0; offset < 4; offset++) bad[at + offset] = (bad[at + offset] as number) ^ 0xff;
      const { filled, file } = fill(bad);
      assert.equal(filled.failed?.position, index - 2);
      assert.notEqual(filled.failed?.[has], undefined);
      assert.deepEqual(chunkIn(file, index - 1), Buffer.from(chunks[index - 1] as Uint8Array));
      assert.ok(chunkIn(file, index).every((byte) => byte === 0xee));
      assert.ok(chunkIn(file, index + 1).every((byte) => byte === 0xee));
    }
  });

  it("writes chunks that are not side by side where they belong", () => {
    const { filled, file } = fill(stored, (task) => {
      const fileOffsets = task.fileOffsets.slice();
      [fileOffsets[0], fileOffsets[7]] = [fileOffsets[7] as number, fileOffsets[0] as number];
      return { ...task, fileOffsets };
    });
    assert.equal(filled.failed, undefined);
    assert.deepEqual(
      file.subarray(blob.table.decodedOffsets[9], (blob.table.decodedOffsets[9] as number) + 100),
      Buffer.from((chunks[2] as Uint8Array).subarray(0, 100)),
    );
    assert.deepEqual(chunkIn(file, 5), Buffer.from(chunks[5] as Uint8Array));
  });

  it("returns ERR_CACHE_IO naming the file when it cannot be written", () => {
    assert.throws(
      () => fill(stored, (task) => ({ ...task, fd: openSync(path, "r") })),
      (error: Error & { code: string }) => error.code === "ERR_CACHE_IO" && error.message.includes(path),
    );
  });
});
