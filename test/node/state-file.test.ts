import assert from "node:assert/strict";
import { readdir, readFile, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, it } from "node:test";
import { EMPTY_STATE, type NodeState, readState, STATE_VERSION, writeState } from "#src/node/state-file.js";
import { StateWriter } from "#src/node/state-writer.js";
import { temporaryDirectory } from "../support/temporary-directory.ts";

const STATE: NodeState = {
  version: 1,
  connection: { number: 57, session: { version: 1, minor: 45, canResend: true } },
  nextNumber: 3,
  images: [
    {
      number: 2,
      name: "registry.example/app:1",
      bootstrapDigest: "ab".repeat(32),
      blobId: "cd".repeat(32),
      blobDirs: ["/srv/blobs"],
      mounts: [{ mountpoint: "/mnt/a", engine: "auto" }],
    },
  ],
};

describe("readState()", () => {
  it("gives what writeState() wrote, and leaves nothing else in the folder", async () => {
    await using folder = await temporaryDirectory();
    const path = join(folder.path, "state.json");
    await writeState(path, EMPTY_STATE);
    await writeState(path, STATE);
    assert.deepEqual(await readState(path), STATE);
    assert.deepEqual(await readdir(folder.path), ["state.json"]);
    assert.equal((await stat(path)).mode & 0o777, 0o600);
  });

  it("is empty without a file, and with one that was cut off before it had its name", async () => {
    await using folder = await temporaryDirectory();
    const path = join(folder.path, "state.json");
    await writeFile(`${path}.new`, '{"version":1,"imag');
    assert.deepEqual(await readState(path), EMPTY_STATE);
    await writeState(path, STATE);
    assert.deepEqual(await readState(path), STATE);
  });

  it("refuses a file of a later version and leaves it as it is", async () => {
    await using folder = await temporaryDirectory();
    const path = join(folder.path, "state.json");
    const text = JSON.stringify({ version: STATE_VERSION + 1, whatever: [] });
    await writeFile(path, text);
    await assert.rejects(readState(path), { code: "ERR_STATE_TOO_NEW" });
    assert.equal(await readFile(path, "utf8"), text);
  });

  it("ignores fields that a later release of the same version added", async () => {
    await using folder = await temporaryDirectory();
    const path = join(folder.path, "state.json");
    await writeFile(path, JSON.stringify({ ...STATE, later: 1 }));
    assert.deepEqual(await readState(path), STATE);
  });

  for (const [what, text] of [
    ["is no JSON", "{"],
    ["is null", "null"],
    ["has no version", "{}"],
    ["has an image without a number", JSON.stringify({ ...STATE, images: [{ name: "x" }] })],
    [
      "has a digest that could name a file",
      JSON.stringify({ ...STATE, images: [{ ...STATE.images[0], bootstrapDigest: "../x" }] }),
    ],
  ] as const) {
    it(`returns ERR_STATE_CORRUPT when the file ${what}`, async () => {
      await using folder = await temporaryDirectory();
      const path = join(folder.path, "state.json");
      await writeFile(path, text);
      await assert.rejects(readState(path), { code: "ERR_STATE_CORRUPT" });
      assert.equal(await readFile(path, "utf8"), text);
    });
  }
});

describe("StateWriter.save()", () => {
  it("returns when the state of the call is on the disk, and shares writes", async () => {
    await using folder = await temporaryDirectory();
    const path = join(folder.path, "state.json");
    let nextNumber = 0;
    let writes = 0;
    const writer = new StateWriter(path, () => {
      writes++;
      return { ...EMPTY_STATE, nextNumber };
    });
    await Promise.all(
      Array.from({ length: 50 }, async (_, index) => {
        nextNumber = index + 1;
        await writer.save();
        assert.ok((await readState(path)).nextNumber > index);
      }),
    );
    assert.ok(writes <= 2, `${writes} writes`);
  });

  it("writes again after a write that failed", async () => {
    await using folder = await temporaryDirectory();
    const path = join(folder.path, "not-there", "state.json");
    const writer = new StateWriter(path, () => EMPTY_STATE);
    await assert.rejects(writer.save(), { code: "ERR_TARGET_IO" });
    await assert.rejects(writer.save(), { code: "ERR_TARGET_IO" });
  });
});
