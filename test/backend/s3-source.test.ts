import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { S3Source } from "#src/backend/s3-source.js";
import { DecodedSource } from "#src/store/decoded-source.js";
import { DEMAND, gather, makeBlob } from "../support/chunked-blob.ts";
import { S3Server } from "../support/s3-server.ts";

const made = makeBlob(20);
const { id } = made.blob;
let server: S3Server;

before(async () => {
  Object.assign(process.env, { AWS_ACCESS_KEY_ID: "S3RVER", AWS_SECRET_ACCESS_KEY: "S3RVER" });
  server = await S3Server.start();
  await server.put(`nydus/${id}`, made.stored);
});

after(async () => {
  await server[Symbol.asyncDispose]();
  for (const name of ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"]) delete process.env[name];
});

function open(prefix = "nydus/"): S3Source {
  return new S3Source({ bucket: server.bucket, prefix, endpoint: server.endpoint });
}

describe("S3Source", () => {
  it("serves ranges, into given memory too, and sizes", async () => {
    await using source = open();
    assert.equal(await source.size(id, DEMAND), made.stored.length);
    const expected = Buffer.from(made.stored.subarray(10, 110));
    assert.deepEqual(Buffer.from(await source.read(id, 10, 100, DEMAND)), expected);
    const into = new Uint8Array(new SharedArrayBuffer(100));
    assert.equal(await source.read(id, 10, 100, { ...DEMAND, into }), into);
    assert.deepEqual(Buffer.from(into), expected);
    assert.equal((await source.read(id, 0, 0, DEMAND)).length, 0);
  });

  it("feeds a chunk source", async () => {
    await using source = open();
    const { found, sink } = gather();
    await new DecodedSource(source).fetch(made.blob, { first: 0, count: 20 }, DEMAND, sink);
    assert.equal(found.size, 20);
  });

  it("returns ERR_BLOB_NOT_FOUND for what is not there and for names that are not blob ids", async () => {
    await using source = open();
    await using elsewhere = open("other/");
    await assert.rejects(elsewhere.read(id, 0, 1, DEMAND), { code: "ERR_BLOB_NOT_FOUND" });
    await assert.rejects(elsewhere.size(id, DEMAND), { code: "ERR_BLOB_NOT_FOUND" });
    for (const name of ["0".repeat(64), "../secret", "", "A".repeat(64)]) {
      await assert.rejects(source.read(name, 0, 1, DEMAND), { code: "ERR_BLOB_NOT_FOUND" });
    }
  });

  it("returns ERR_BLOB_CORRUPT for a range beyond the end", async () => {
    await using source = open();
    const { length } = made.stored;
    for (const [offset, size] of [
      [length - 10, 20],
      [length + 10, 20],
    ] as const) {
      await assert.rejects(source.read(id, offset, size, DEMAND), { code: "ERR_BLOB_CORRUPT" });
    }
  });

  it("returns ERR_ABORTED when the signal has fired, ERR_SOURCE_UNAVAILABLE when nobody answers", async () => {
    await using source = open();
    const signal = AbortSignal.abort();
    await assert.rejects(source.read(id, 0, 1, { signal }), { code: "ERR_ABORTED" });
    await using nobody = new S3Source({ bucket: "images", endpoint: "http://127.0.0.1:9" });
    await assert.rejects(nobody.read(id, 0, 1, DEMAND), { code: "ERR_SOURCE_UNAVAILABLE" });
  });

  it("returns ERR_REGISTRY_DENIED for a login that nobody knows", async () => {
    process.env["AWS_ACCESS_KEY_ID"] = "nobody";
    try {
      await using source = open();
      await assert.rejects(source.read(id, 0, 4, DEMAND), { code: "ERR_REGISTRY_DENIED" });
    } finally {
      process.env["AWS_ACCESS_KEY_ID"] = "S3RVER";
    }
  });
});
