import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { EntryPacker, type PackedEntries, unpackEntries } from "#src/convert/packed-entries.js";
import type { Chunk } from "#src/image/chunk.js";
import type { LayerEntry } from "#src/image/layer-entry.js";

const CHUNKS: readonly Chunk[] = Array.from({ length: 50 }, (_, index) => ({
  blobIndex: 0,
  index,
  digest: new Uint8Array(32).fill(index),
  decodedOffset: index * 4096,
  decodedSize: 4096,
  storedOffset: index * 100,
  storedSize: 100,
  crc32c: undefined,
}));

const id = fc.nat({ max: 0xffff_ffff });
/** Any bytes but NUL, one for each unit of the string. */
const name = fc
  .array(fc.integer({ min: 1, max: 255 }), { minLength: 0, maxLength: 12 })
  .map((bytes) => String.fromCharCode(...bytes));
const attributes = fc.record({
  path: name,
  mode: fc.nat({ max: 0o7777 }),
  uid: id,
  gid: id,
  mtime: fc
    .tuple(fc.integer({ min: -(2 ** 40), max: 2 ** 40 }), fc.nat({ max: 999_999_999 }))
    .map(([seconds, nanoseconds]) => ({ seconds, nanoseconds })),
  xattrs: fc
    .array(fc.tuple(name, fc.uint8Array({ maxLength: 6 })), { maxLength: 2 })
    .map((rows) => new Map(rows)),
});
const entry: fc.Arbitrary<LayerEntry> = fc
  .tuple(
    attributes,
    fc.oneof(
      fc
        .record({ size: fc.nat({ max: 2 ** 31 - 1 }), chunks: fc.array(fc.constantFrom(...CHUNKS)) })
        .map((file) => ({ type: "file" as const, ...file })),
      fc.constantFrom("dir" as const, "fifo" as const, "socket" as const).map((type) => ({ type })),
      fc
        .tuple(fc.constantFrom("symlink" as const, "hardlink" as const), name)
        .map(([type, linkTarget]) => ({ type, linkTarget })),
      fc
        .tuple(
          fc.constantFrom("char" as const, "block" as const),
          fc.nat({ max: 0xfff }),
          fc.nat({ max: 0xfffff }),
        )
        .map(([type, major, minor]) => ({ type, major, minor })),
    ),
  )
  .map(([common, rest]) => ({ ...common, ...rest }) as LayerEntry);

function packed(entries: readonly LayerEntry[]): PackedEntries[] {
  const packs: PackedEntries[] = [];
  const packer = new EntryPacker((pack) => packs.push(structuredClone(pack)));
  for (const one of entries) {
    packer.add(one, one.type === "file" ? one.chunks.map((chunk) => chunk.index) : []);
  }
  packer.finish();
  return packs;
}

describe("packed entries", () => {
  it("are the same entries when they are unpacked, each time", () => {
    fc.assert(
      fc.property(fc.array(entry, { maxLength: 30 }), (entries) => {
        const unpacked = unpackEntries(packed(entries), CHUNKS);
        assert.deepEqual([...unpacked], entries);
        assert.deepEqual([...unpacked], entries);
      }),
      { numRuns: 200 },
    );
  });

  it("come in several packs when there are many", () => {
    const [one] = fc.sample(entry, { numRuns: 1, seed: 1 });
    assert.ok(one !== undefined);
    const entries = Array.from({ length: 10_000 }, (_, index) => ({ ...one, path: `file-${index}` }));
    const packs = packed(entries);
    assert.ok(packs.length > 1);
    assert.deepEqual([...unpackEntries(packs, CHUNKS)], entries);
  });

  it("refuse a chunk that there is not", () => {
    const file = { ...fc.sample(attributes, 1)[0], type: "file", size: 1, chunks: [CHUNKS[9]] };
    assert.throws(() => [...unpackEntries(packed([file as LayerEntry]), CHUNKS.slice(0, 9))], TypeError);
  });
});
