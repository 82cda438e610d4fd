import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { describe, it } from "node:test";
import { constants, deflateRawSync, gzipSync } from "node:zlib";
import { CodedError } from "#src/base/errors.js";
import { compressChunk } from "#src/codec/compress.js";
import { decompressLayer } from "#src/codec/layer-stream.js";
import { addon } from "#src/native/addon.js";
import type { Inflater } from "#src/native/isal.js";
import { inPieces, readAll } from "../support/layers.ts";

const PIECE_SIZES = [1, 61, 1000, 65536, Number.POSITIVE_INFINITY];
const first = Buffer.concat([Buffer.from("layer ".repeat(30_000)), randomBytes(70_000)]);
const second = Buffer.from("another member ".repeat(20_000));

/** One frame, also for bytes that do not become smaller. */
function zstd(bytes: Uint8Array): Uint8Array {
  const { bytes: frame, isCompressed } = compressChunk("zstd", bytes);
  assert.ok(isCompressed);
  return frame;
}

function skippable(length: number, magic = 0x53): Buffer {
  const frame = Buffer.alloc(8 + length, 0xaa);
  frame.writeUInt32LE(0x184d2a00 + magic, 0);
  frame.writeUInt32LE(length, 4);
  return frame;
}

/** A member with every optional header field. */
function memberWithFields(bytes: Uint8Array): Buffer {
  const plain = gzipSync(bytes);
  const fields = Buffer.from("\x03\x00abcname\0comment\0\x12\x34", "latin1");
  const header = Buffer.from(plain.subarray(0, 10));
  header[3] = 4 | 8 | 16 | 2;
  return Buffer.concat([header, fields, plain.subarray(10)]);
}

/** As bgzip writes: a member for each 65,280 bytes, whose extra field has its length, and an empty one at the end. */
function bgzip(bytes: Uint8Array): Buffer {
  const members: Buffer[] = [];
  for (let offset = 0; offset <= bytes.length; offset += 65_280) {
    const plain = gzipSync(bytes.subarray(offset, offset + 65_280));
    const extra = Buffer.from("\x06\0BC\x02\0\0\0", "latin1");
    extra.writeUInt16LE(plain.length + extra.length - 1, 6);
    const header = Buffer.from(plain.subarray(0, 10));
    header[3] = 4;
    members.push(header, extra, plain.subarray(10));
  }
  return Buffer.concat([...members, bgzipEnd]);
}

const bgzipEnd = Buffer.from("1f8b08040000000000ff0600424302001b0003000000000000000000", "hex");

const whole = Buffer.concat([first, second]);
const GOOD: readonly (readonly [string, Uint8Array, Uint8Array])[] = [
  ["a plain stream", whole, whole],
  ["an empty stream", new Uint8Array(0), new Uint8Array(0)],
  ["one gzip member", gzipSync(whole), whole],
  ["two gzip members", Buffer.concat([gzipSync(first), gzipSync(second)]), whole],
  ["a gzip member with every header field", memberWithFields(first), first],
  [
    "an empty gzip member between others",
    Buffer.concat([gzipSync(first), gzipSync(""), gzipSync(second)]),
    whole,
  ],
  ["bgzip", bgzip(whole), whole],
  [
    "hundreds of small gzip members",
    Buffer.concat(new Array<Buffer>(500).fill(gzipSync("ab"))),
    Buffer.from("ab".repeat(500)),
  ],
  ["gzip that stores its bytes", gzipSync(whole, { level: 0 }), whole],
  ["gzip with zero padding", Buffer.concat([gzipSync(first), Buffer.alloc(5000)]), first],
  ["gzip with garbage behind", Buffer.concat([gzipSync(first), Buffer.from("not a member")]), first],
  ["one zstd frame", zstd(whole), whole],
  [
    "zstd frames and skippable ones",
    Buffer.concat([skippable(9), zstd(first), skippable(0), zstd(second)]),
    whole,
  ],
  // Its table of contents and footer are skippable frames.
  [
    "zstd:chunked",
    Buffer.concat([zstd(first), zstd(second), skippable(1000, 0x50), skippable(64, 0x5f)]),
    whole,
  ],
];

/** Everything holds with either decoder of gzip. */
const INFLATERS = [
  ["ISA-L", () => addon()?.isal()?.openInflater()],
  ["zlib", () => undefined],
] as const;

for (const [library, openInflater] of INFLATERS) {
  const isMissing = library === "ISA-L" && openInflater() === undefined;
  const skip = isMissing ? "needs the native addon and libisal.so.2" : false;
  describe(`decompressLayer() with ${library}`, { skip }, () => testDecompressLayer(openInflater));
}

function testDecompressLayer(openInflater: () => Inflater | undefined): void {
  const decompress = (source: AsyncIterable<Uint8Array>) => decompressLayer(source, { openInflater });
  for (const [what, stored, decoded] of GOOD) {
    it(`decodes ${what}, in pieces of any size`, async () => {
      for (const size of PIECE_SIZES) {
        if (size === 1 && stored.length > 10_000) continue;
        const found = await readAll(decompress(inPieces(stored, size)));
        assert.ok(found.equals(decoded), `pieces of ${size}: ${found.length} bytes of ${decoded.length}`);
      }
    });
  }

  for (const [what, stored] of [
    ["gzip", gzipSync(second)],
    ["zstd", zstd(second)],
  ] as const) {
    it(`returns ERR_LAYER_INVALID when ${what} is truncated anywhere`, async () => {
      for (let length = 4; length < stored.length; length += 1 + (stored.length >> 5)) {
        await assert.rejects(readAll(decompress(inPieces(stored.subarray(0, length), 50))), {
          code: "ERR_LAYER_INVALID",
        });
      }
      await assert.rejects(readAll(decompress(inPieces(stored.subarray(0, -1), 64))), {
        code: "ERR_LAYER_INVALID",
      });
    });
  }

  it("returns ERR_LAYER_INVALID when gzip bytes are flipped, its checksum and size included", async () => {
    const stored = gzipSync(second);
    for (const position of [2, 3, 40, stored.length - 8, stored.length - 1]) {
      const flipped = Buffer.from(stored);
      flipped[position] = (flipped[position] as number) ^ 0xe0;
      await assert.rejects(readAll(decompress(inPieces(flipped, 64))), { code: "ERR_LAYER_INVALID" });
    }
  });

  it("returns ERR_LAYER_INVALID when something else follows a zstd frame", async () => {
    const stored = Buffer.concat([zstd(first), Buffer.from("not a frame")]);
    await assert.rejects(readAll(decompress(inPieces(stored, 1000))), { code: "ERR_LAYER_INVALID" });
  });

  it("passes on the error of its source", async () => {
    async function* failing(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
      yield bytes.subarray(0, bytes.length / 2);
      throw new CodedError("ERR_DIGEST_MISMATCH", "layer is not what its descriptor says");
    }
    for (const stored of [gzipSync(first), zstd(first), first]) {
      await assert.rejects(readAll(decompress(failing(stored))), { code: "ERR_DIGEST_MISMATCH" });
    }
  });

  it("reads its source to the end, where its digest is checked", async () => {
    async function* failingAtEnd(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
      yield bytes;
      yield new Uint8Array(10);
      throw new CodedError("ERR_DIGEST_MISMATCH", "layer is not what its descriptor says");
    }
    await assert.rejects(readAll(decompress(failingAtEnd(gzipSync(first)))), {
      code: "ERR_DIGEST_MISMATCH",
    });
  });

  it("reads no more of its source than its reader asks for, and closes it", async () => {
    const bomb = deflateRawSync(Buffer.alloc(64 * 2 ** 20), { level: constants.Z_BEST_SPEED });
    const stored = Buffer.concat([gzipSync("").subarray(0, 10), bomb]);
    let read = 0;
    let isClosed = false;
    async function* counted(): AsyncGenerator<Uint8Array> {
      try {
        for await (const piece of inPieces(stored, 1024)) {
          read += piece.length;
          yield piece;
        }
      } finally {
        isClosed = true;
      }
    }
    for await (const piece of decompress(counted())) {
      assert.ok(piece.length <= 256 * 1024);
      break;
    }
    assert.ok(read < stored.length / 4, `${read} of ${stored.length}`);
    assert.ok(isClosed);
  });
}
