import type { FileHandle } from "node:fs/promises";
import { gzipSync } from "node:zlib";
import { compress } from "zstd-napi";
import { readBootstrapLayer } from "#src/app/read-bootstrap-layer.js";
import { decompressLayer } from "#src/codec/layer-stream.js";
import { readLayer } from "#src/convert/layer-reader.js";
import type { LayerEntry } from "#src/image/layer-entry.js";
import { buildLayerTree } from "#src/image/overlay.js";
import { listTree } from "#src/image/tree.js";
import { TarIndex } from "#src/layout/tar-index.js";
import { readFixture } from "../support/fixtures.ts";
import { goldenBootstrap } from "../support/golden-blobs.ts";
import { inPieces } from "../support/layers.ts";
import { base256, paxHeader, paxRecord, TAR_END, tarMember } from "../support/tar-builder.ts";
import type { FuzzTarget } from "./fuzz-target.ts";

/** Bytes that are taken of a stream: one may go on for ever, and its reader stops where it has enough. */
const MAX_TAKEN = 4 * 2 ** 20;

/** Every kind of member and extension, small, so that a change meets something. */
const MADE_TAR = Buffer.concat([
  tarMember({ name: "dir/", type: "5", mode: 0o1777, mtime: base256(-5n, 12) }),
  tarMember({ name: "dir/file", mode: 0o4755, uid: base256(70_000n, 8) }, "content"),
  tarMember({ name: "dir/hard", type: "1", link: "dir/file" }),
  tarMember({ name: "soft", type: "2", link: "dir/file" }),
  tarMember({ name: "null", type: "3", major: 1, minor: 3 }),
  tarMember({ name: "fifo", type: "6" }),
  tarMember({ name: "dir/.wh.gone" }),
  tarMember({ name: "dir/.wh..wh..opq" }),
  tarMember({ name: "././@LongLink", type: "L" }, `${"long/".repeat(40)}name\0`),
  tarMember({ name: "short", prefix: "a/prefix" }, "named"),
  paxHeader([["comment", "of all"]], "g"),
  paxHeader([
    ["path", "pax/name"],
    ["mtime", "1600000000.123456789"],
    ["uid", "4000000000"],
    ["SCHILY.xattr.user.key", "value\nwith a line"],
    ["LIBARCHIVE.xattr.user.other", "dmFsdWU="],
  ]),
  tarMember({ name: "pax" }, "pax"),
  paxHeader([
    ["GNU.sparse.major", "1"],
    ["GNU.sparse.minor", "0"],
    ["GNU.sparse.name", "sparse1"],
    ["GNU.sparse.realsize", "10000"],
  ]),
  tarMember(
    { name: "sparse" },
    Buffer.concat([Buffer.from("1\n5000\n3\n".padEnd(512, "\0")), Buffer.from("abc")]),
  ),
  paxHeader([
    ["GNU.sparse.size", "9000"],
    ["GNU.sparse.numblocks", "1"],
    ["GNU.sparse.map", "100,3"],
  ]),
  tarMember({ name: "sparse0" }, "abc"),
  TAR_END,
]);

const GNU_SPARSE = Buffer.concat([
  tarMember(
    {
      name: "old-sparse",
      type: "S",
      magic: "ustar  \0",
      patches: [
        [386, Buffer.from("00000000000\0" + "00000000003\0" + "00000010000\0" + "00000000000\0")],
        [483, Buffer.from("00000010000\0")],
      ],
    },
    "abc",
  ),
  TAR_END,
]);

/** Gives every header that looks like one the checksum of its bytes. */
function repairTar(bytes: Uint8Array): void {
  for (let start = 0; start + 512 <= bytes.length; start += 512) {
    const header = Buffer.from(bytes.buffer, bytes.byteOffset + start, 512);
    if (header.toString("latin1", 257, 262) !== "ustar") continue;
    header.fill(" ", 148, 156);
    let sum = 0;
    for (const byte of header) sum += byte;
    header.write(`${sum.toString(8).padStart(6, "0")}\0 `, 148, "latin1");
  }
}

async function readTree(tar: AsyncIterable<Uint8Array>): Promise<void> {
  const entries: LayerEntry[] = [];
  for await (const { entry, content } of readLayer(tar)) {
    entries.push(entry.type === "file" ? { ...entry, size: 0, chunks: [] } : entry);
    // A file of holes may be a tebibyte long; what follows it is then not reached.
    if ((await take(content)) >= MAX_TAKEN) break;
  }
  listTree(buildLayerTree(entries));
}

async function take(pieces: AsyncIterable<Uint8Array> | undefined): Promise<number> {
  let taken = 0;
  for await (const piece of pieces ?? []) {
    taken += piece.length;
    if (taken >= MAX_TAKEN) break;
  }
  return taken;
}

const tars = (): Uint8Array[] => [MADE_TAR, GNU_SPARSE, readFixture("golden", "made", "layer4.tar")];
const packed = (pack: (bytes: Uint8Array) => Uint8Array): Uint8Array[] => {
  const whole = tars().map(pack);
  return [...whole, Buffer.concat(whole)];
};

/** Decoders of layers and archives. */
export const TAR_TARGETS: readonly FuzzTarget[] = [
  {
    name: "tar",
    corpus: tars,
    repair: repairTar,
    decode: (bytes) => readTree(inPieces(bytes, 1000)),
  },
  {
    name: "pax",
    corpus: () => [
      Buffer.concat([
        paxRecord("path", "some/name"),
        paxRecord("size", "3"),
        paxRecord("mtime", "-1.5"),
        paxRecord("linkpath", "target"),
        paxRecord("SCHILY.xattr.user.key", Buffer.from([0, 10, 255])),
      ]),
      Buffer.concat([
        paxRecord("GNU.sparse.numblocks", "2"),
        paxRecord("GNU.sparse.offset", "0"),
        paxRecord("GNU.sparse.numbytes", "1"),
        paxRecord("GNU.sparse.offset", "512"),
        paxRecord("GNU.sparse.numbytes", "2"),
        paxRecord("GNU.sparse.size", "2000"),
      ]),
      Buffer.concat([paxRecord("GNU.sparse.map", "0,1,512,2"), paxRecord("GNU.sparse.realsize", "600")]),
    ],
    decode: (bytes) =>
      readTree(
        inPieces(
          Buffer.concat([
            tarMember({ name: "pax", type: "x" }, Buffer.from(bytes)),
            tarMember({ name: "file" }, "abc"),
            TAR_END,
          ]),
        ),
      ),
  },
  {
    name: "gzip",
    corpus: () => packed((bytes) => gzipSync(bytes)),
    decode: (bytes) => take(decompressLayer(inPieces(bytes, 700))),
  },
  {
    name: "zstd",
    corpus: () => packed((bytes) => new Uint8Array(compress(Buffer.from(bytes)))),
    decode: (bytes) => take(decompressLayer(inPieces(bytes, 700))),
  },
  {
    name: "bootstrap-layer",
    corpus: () => [goldenBootstrap("nydusify/native").archive ?? new Uint8Array(0), MADE_TAR],
    repair: repairTar,
    decode: (bytes) => readBootstrapLayer(inPieces(bytes), "layer"),
  },
  {
    name: "archive-index",
    corpus: tars,
    repair: repairTar,
    decode: async (bytes) => {
      const handle = {
        read: async (buffer: Uint8Array, offset: number, length: number, position: number) => {
          const found = bytes.subarray(position, position + length);
          buffer.set(found, offset);
          return { buffer, bytesRead: found.length };
        },
      } as unknown as FileHandle;
      const index = await TarIndex.read({ handle, offset: 0, size: bytes.length }, "archive");
      for (const name of ["dir/file", "dir/hard", "soft", "pax/name", "index.json"]) index.find(name);
    },
  },
];
