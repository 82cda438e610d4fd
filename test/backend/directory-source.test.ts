import assert from "node:assert/strict";
import { mkdir, mkdtemp, rm, truncate, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { DirectorySource } from "#src/backend/directory-source.js";
import { DecodedSource } from "#src/store/decoded-source.js";
import { DEMAND, gather, makeBlob } from "../support/chunked-blob.ts";

const made = makeBlob(8);
const { id } = made.blob;
const SHORT_ID = "a".repeat(64);
let root = "";

before(async () => {
  root = await mkdtemp(join(tmpdir(), "nydus-toolkit-"));
  await mkdir(join(root, "first"));
  await mkdir(join(root, "second"));
  await mkdir(join(root, "first", id));
  await writeFile(join(root, "second", id), made.stored);
  await writeFile(join(root, "second", SHORT_ID), "0123456789");
  await writeFile(join(root, "secret"), "secret");
});

after(() => rm(root, { recursive: true }));

function openBoth(): DirectorySource {
  return new DirectorySource([join(root, "first"), join(root, "absent"), join(root, "second")]);
}

describe("DirectorySource", () => {
  it("serves ranges and sizes of blobs from any of its folders", async () => {
    await using source = openBoth();
    assert.equal(await source.size(id, DEMAND), made.stored.length);
    const range = await source.read(id, 10, 100, DEMAND);
    assert.deepEqual(Buffer.from(range), Buffer.from(made.stored.subarray(10, 110)));
    assert.equal((await source.read(id, made.stored.length, 0, DEMAND)).length, 0);
  });

  it("feeds a chunk source", async () => {
    await using source = openBoth();
    const { found, sink } = gather();
    await new DecodedSource(source).fetch(made.blob, { first: 0, count: 8 }, DEMAND, sink);
    assert.deepEqual([...found.values()], made.chunks);
  });

  it("returns ERR_BLOB_NOT_FOUND for what is not there and for names that are not blob ids", async () => {
    await using source = openBoth();
    for (const name of ["0".repeat(64), "../secret", "", "A".repeat(64), `${id}\0`]) {
      await assert.rejects(source.read(name, 0, 1, DEMAND), { code: "ERR_BLOB_NOT_FOUND" });
    }
  });

  it("finds a blob that comes after it was asked for", async () => {
    await using source = openBoth();
    const late = "b".repeat(64);
    await assert.rejects(source.size(late, DEMAND), { code: "ERR_BLOB_NOT_FOUND" });
    await writeFile(join(root, "second", late), "late");
    assert.equal(await source.size(late, DEMAND), 4);
  });

  it("returns ERR_BLOB_CORRUPT for a range behind the end, however long, and when the file shrinks", async () => {
    await using source = openBoth();
    for (const [offset, length] of [
      [9, 2],
      [0, 2 ** 50],
      [-1, 2],
      [Number.NaN, 1],
    ] as const) {
      await assert.rejects(source.read(SHORT_ID, offset, length, DEMAND), { code: "ERR_BLOB_CORRUPT" });
    }
    await truncate(join(root, "second", SHORT_ID), 3);
    await assert.rejects(source.read(SHORT_ID, 0, 10, DEMAND), { code: "ERR_BLOB_CORRUPT" });
  });

  it("returns ERR_ABORTED when the signal has fired", async () => {
    await using source = openBoth();
    const options = { signal: AbortSignal.abort() };
    await assert.rejects(source.read(id, 0, 1, options), { code: "ERR_ABORTED" });
  });
});
