import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { byteString, concatBytes } from "#src/base/bytes.js";
import { readLayer } from "#src/convert/layer-reader.js";
import { encodePaxEntry, type PaxEntry, TAR_END, tarPadding } from "#src/format/tar/pax-entry.js";
import type { LayerEntry } from "#src/image/layer-entry.js";
import { inPieces } from "../../support/layers.ts";

const FILE: PaxEntry = {
  path: "a",
  type: "file",
  mode: 0o644,
  uid: 0,
  gid: 0,
  size: 0,
  mtime: { seconds: 0, nanoseconds: 0 },
  xattrs: new Map(),
};

/** What our reader of layers, which knows nothing of the writer, finds in a tar with these entries. */
async function readBack(...entries: readonly PaxEntry[]): Promise<LayerEntry[]> {
  const parts = entries.flatMap((entry) => [
    encodePaxEntry(entry),
    new Uint8Array(entry.size),
    tarPadding(entry.size),
  ]);
  const found: LayerEntry[] = [];
  for await (const { entry } of readLayer(inPieces(concatBytes([...parts, TAR_END])))) found.push(entry);
  return found;
}

const bytes = (options: { minLength: number; maxLength: number }): fc.Arbitrary<string> =>
  fc
    .uint8Array(options)
    .map((array) =>
      byteString(array.map((byte) => (byte === 0 || byte === 0x2f || byte === 0x2e ? 0x41 : byte))),
    );

describe("encodePaxEntry()", () => {
  it("gives a plain header to what ustar can hold", () => {
    assert.equal(encodePaxEntry({ ...FILE, mtime: { seconds: 1_700_000_000, nanoseconds: 0 } }).length, 512);
  });

  it("keeps names of any bytes and length, owners, times and attributes", async () => {
    const entry = fc.record({
      path: bytes({ minLength: 1, maxLength: 250 }),
      mode: fc.integer({ min: 0, max: 0o7777 }),
      uid: fc.oneof(fc.integer({ min: 0, max: 100 }), fc.integer({ min: 0, max: 2 ** 32 - 1 })),
      gid: fc.integer({ min: 0, max: 2 ** 32 - 1 }),
      size: fc.integer({ min: 0, max: 1500 }),
      mtime: fc.record({
        seconds: fc.integer({ min: -(2 ** 40), max: 2 ** 40 }),
        nanoseconds: fc.oneof(fc.constant(0), fc.integer({ min: 0, max: 999_999_999 })),
      }),
      xattrs: fc
        .array(fc.tuple(bytes({ minLength: 1, maxLength: 20 }), fc.uint8Array({ maxLength: 300 })), {
          maxLength: 4,
        })
        .map((list) => new Map(list.map(([name, value]) => [`user.${name.replaceAll("=", "_")}`, value]))),
    });
    await fc.assert(
      fc.asyncProperty(entry, async (fields) => {
        const { size, path, mode, uid, gid, mtime, xattrs } = fields;
        const [found] = await readBack({ ...FILE, ...fields });
        const expected = { type: "file", path, mode, uid, gid, mtime: { ...mtime }, size, chunks: [] };
        const { xattrs: foundXattrs, ...rest } = found ?? { xattrs: new Map() };
        assert.deepEqual(rest, expected);
        assert.deepEqual(
          [...foundXattrs].map(([name, value]) => [name, [...value]]).sort(),
          [...xattrs].map(([name, value]) => [name, [...value]]).sort(),
        );
      }),
      { numRuns: 100 },
    );
  });

  it("keeps targets and devices", async () => {
    const target = "t".repeat(300);
    const found = await readBack(
      { ...FILE, path: "link", type: "symlink", target },
      { ...FILE, path: "file" },
      { ...FILE, path: "hard", type: "hardlink", target: "file" },
      { ...FILE, path: "device", type: "char", device: { major: 4095, minor: 1_048_575 } },
    );
    const fields = found.map((entry) => [
      entry.type,
      "linkTarget" in entry ? entry.linkTarget : "major" in entry ? `${entry.major}:${entry.minor}` : "",
    ]);
    assert.deepEqual(fields, [
      ["symlink", target],
      ["file", ""],
      ["hardlink", "file"],
      ["char", "4095:1048575"],
    ]);
  });
});
