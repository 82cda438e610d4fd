import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, describe, it } from "node:test";
import { openBlobPlaces, parseBlobPlace } from "#src/app/blob-places.js";
import { ImageAccess } from "#src/app/image-access.js";
import { DEMAND, makeBlob, memoryBlobs } from "../support/chunked-blob.ts";
import { Dfdaemon } from "../support/dfdaemon.ts";

const made = makeBlob(4);
const { id } = made.blob;
const folder = mkdtempSync(join(tmpdir(), "nydus-places-"));
after(() => rmSync(folder, { recursive: true }));

describe("parseBlobPlace()", () => {
  it("reads buckets, folders and Dragonfly", () => {
    assert.deepEqual(
      parseBlobPlace("s3://images/nydus/?endpoint=http://127.0.0.1:1&region=eu-1&path-style=false"),
      {
        kind: "s3",
        location: {
          bucket: "images",
          prefix: "nydus/",
          endpoint: "http://127.0.0.1:1",
          region: "eu-1",
          usesPathStyle: false,
        },
      },
    );
    assert.deepEqual(parseBlobPlace("s3://images"), {
      kind: "s3",
      location: { bucket: "images", prefix: "" },
    });
    assert.deepEqual(parseBlobPlace("dir:/srv/blobs"), { kind: "dir", directory: "/srv/blobs" });
    const dragonfly = parseBlobPlace("dragonfly+http://127.0.0.1:4001");
    assert.deepEqual(dragonfly, { kind: "dragonfly", address: new URL("http://127.0.0.1:4001") });
  });

  it("returns ERR_OPTION_INVALID for anything else", () => {
    const wrong = [
      "",
      "dir:",
      "/srv",
      "s3:",
      "http://host",
      "s3://user@images",
      "s3://images?endpoint=file:///etc",
      "s3://images?key=1",
    ];
    for (const text of wrong) {
      assert.throws(() => parseBlobPlace(text), { code: "ERR_OPTION_INVALID" }, text);
    }
  });
});

describe("openBlobPlaces()", () => {
  it("asks the places in their order and the image's own place last", async () => {
    await using daemon = await Dfdaemon.start();
    await using access = await ImageAccess.create({ environment: {} });
    const own = memoryBlobs(made);
    const names = [`dir:${folder}`, `dragonfly+${daemon.address.origin}`].map(parseBlobPlace);
    await using places = openBlobPlaces(names, own, "127.0.0.1:5000/app:1", access);
    const read = async (): Promise<Buffer> => Buffer.from(await places.source.read(id, 0, 8, DEMAND));
    const expected = Buffer.from(made.stored.subarray(0, 8));
    assert.deepEqual(await read(), expected);
    assert.equal(own.requests.length, 1);
    assert.equal(daemon.seen[0]?.["x-dragonfly-registry"], "http://127.0.0.1:5000");
    daemon.blobs.set(id, made.stored);
    assert.deepEqual(await read(), expected);
    assert.equal(own.requests.length, 1);
    writeFileSync(join(folder, id), made.stored);
    assert.deepEqual(await read(), expected);
    assert.equal(daemon.seen.length, 2);
  });

  it("refuses Dragonfly for an image in no registry, and credentials in the clear", async () => {
    await using access = await ImageAccess.create({ environment: {} });
    for (const [image, place] of [
      ["oci:layout", "dragonfly+http://127.0.0.1:4001"],
      ["registry.example/app", "dragonfly+http://node.example:4001"],
    ] as const) {
      assert.throws(() => openBlobPlaces([parseBlobPlace(place)], memoryBlobs(made), image, access), {
        code: "ERR_OPTION_INVALID",
      });
    }
  });
});
