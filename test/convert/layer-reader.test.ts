import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { CodedError, type ErrorCode, isCoded } from "#src/base/errors.js";
import { type LayerItem, readLayer } from "#src/convert/layer-reader.js";
import type { LayerWarning } from "#src/convert/xattrs.js";
import type { LayerEntry } from "#src/image/layer-entry.js";
import { entriesOf, inPieces, readAll } from "../support/layers.ts";
import { base256, paxHeader, TAR_END, tarHeader, tarMember } from "../support/tar-builder.ts";

const bytes = (text: string): Uint8Array => new Uint8Array(Buffer.from(text, "latin1"));

async function readOne(...parts: readonly Buffer[]): Promise<LayerEntry> {
  const entries = await entriesOf(Buffer.concat([...parts, TAR_END]));
  assert.equal(entries.length, 1);
  return entries[0] as LayerEntry;
}

async function contentsOf(tar: Buffer, pieceSize?: number): Promise<Record<string, string>> {
  const contents: Record<string, string> = {};
  for await (const { entry, content } of readLayer(inPieces(tar, pieceSize))) {
    contents[entry.path] = content === undefined ? entry.type : (await readAll(content)).toString("latin1");
  }
  return contents;
}

describe("readLayer()", () => {
  it("reads every type of entry", async () => {
    const tar = Buffer.concat([
      tarMember({ name: "./", type: "5", mode: 0o40755 }),
      tarMember({ name: "f", mode: 0o104755, uid: 1, gid: 2, mtime: 3 }, "text"),
      tarMember({ name: "old", type: "\0" }, "v7"),
      tarMember({ name: "contiguous", type: "7" }, "seven"),
      tarMember({ name: "hard", type: "1", link: "./f" }),
      tarMember({ name: "soft", type: "2", link: "../x/./y" }),
      tarMember({ name: "char", type: "3", major: 0, minor: 0 }),
      tarMember({ name: "block", type: "4", major: 0xfff, minor: 0xfffff }),
      tarMember({ name: "dir/", type: "5" }),
      tarMember({ name: "olddir/", type: "0" }),
      tarMember({ name: "fifo", type: "6" }),
      tarMember({ name: "name", prefix: "pre/fix" }, "p"),
      TAR_END,
    ]);
    const entries = await entriesOf(tar);
    assert.deepEqual(
      entries.map((entry) => [entry.path, entry.type]),
      [
        ["", "dir"],
        ["f", "file"],
        ["old", "file"],
        ["contiguous", "file"],
        ["hard", "hardlink"],
        ["soft", "symlink"],
        ["char", "char"],
        ["block", "block"],
        ["dir", "dir"],
        ["olddir", "dir"],
        ["fifo", "fifo"],
        ["pre/fix/name", "file"],
      ],
    );
    const [, file, , , hard, soft, , block] = entries;
    assert.deepEqual([file?.mode, file?.uid, file?.gid, file?.mtime.seconds], [0o4755, 1, 2, 3]);
    assert.equal(hard?.type === "hardlink" && hard.linkTarget, "f");
    assert.equal(soft?.type === "symlink" && soft.linkTarget, "../x/./y");
    assert.deepEqual(block?.type === "block" && [block.major, block.minor], [0xfff, 0xfffff]);
  });

  it("keeps bytes that are not UTF-8 in names and targets of every dialect", async () => {
    const tar = Buffer.concat([
      tarMember({ name: "h\xff", type: "2", link: "t\xfe" }),
      tarMember({ name: "l", type: "L" }, Buffer.from("g\xff\xc3\0", "latin1")),
      tarMember({ name: "k", type: "K" }, Buffer.from("u\xfe\0", "latin1")),
      tarMember({ name: "short", type: "2", link: "short" }),
      paxHeader([
        ["path", "p\xff\n="],
        ["linkpath", "v\xfe\nw"],
      ]),
      tarMember({ name: "short", type: "2", link: "short" }),
      TAR_END,
    ]);
    assert.deepEqual(
      (await entriesOf(tar)).map((entry) => [entry.path, entry.type === "symlink" && entry.linkTarget]),
      [
        ["h\xff", "t\xfe"],
        ["g\xff\xc3", "u\xfe"],
        ["p\xff\n=", "v\xfe\nw"],
      ],
    );
  });

  it("keeps every byte of extended attributes, in both dialects", async () => {
    const value = Buffer.from(Array.from({ length: 256 }, (_, byte) => byte));
    const entry = await readOne(
      paxHeader([
        ["SCHILY.xattr.user.all", value],
        ["SCHILY.xattr.user.empty", ""],
        ["SCHILY.xattr.user.n\xff", "1"],
        ["SCHILY.xattr.security.capability", Buffer.from([1, 0, 0, 2])],
        ["LIBARCHIVE.xattr.trusted.a%3Db", value.toString("base64").replace(/=+$/, "")],
        ["LIBARCHIVE.xattr.user.n\xff", Buffer.from("other").toString("base64")],
        ["SCHILY.xattr.system.posix_acl_access", Buffer.from([2, 0, 0, 0])],
      ]),
      tarMember({ name: "f" }),
    );
    assert.deepEqual(
      new Map([...entry.xattrs].sort()),
      new Map([
        ["security.capability", new Uint8Array([1, 0, 0, 2])],
        ["system.posix_acl_access", new Uint8Array([2, 0, 0, 0])],
        ["trusted.a=b", new Uint8Array(value)],
        ["user.all", new Uint8Array(value)],
        ["user.empty", new Uint8Array(0)],
        ["user.n\xff", bytes("1")],
      ]),
    );
  });

  it("warns of attributes that an image cannot hold", async () => {
    const warnings: LayerWarning[] = [];
    await entriesOf(
      Buffer.concat([
        paxHeader([
          ["SCHILY.xattr.com.apple.x", "1"],
          ["SCHILY.acl.access", "user::rw-"],
        ]),
        tarMember({ name: "f" }),
        TAR_END,
      ]),
      { onWarning: (warning) => warnings.push(warning) },
    );
    assert.deepEqual(warnings, [
      { kind: "xattr-dropped", path: "f", name: "com.apple.x" },
      { kind: "acl-dropped", path: "f", name: "SCHILY.acl.access" },
    ]);
  });

  for (const [text, seconds, nanoseconds] of [
    ["12.3456789019", 12, 345_678_901],
    ["12", 12, 0],
    ["12.", 12, 0],
    ["0.5", 0, 500_000_000],
    ["-1.25", -2, 750_000_000],
    ["-0.000000001", -1, 999_999_999],
    ["-7", -7, 0],
    ["-0", 0, 0],
    ["99999999999", 99_999_999_999, 0],
  ] as const) {
    it(`reads a pax mtime of ${text}`, async () => {
      const entry = await readOne(paxHeader([["mtime", text]]), tarMember({ name: "f", mtime: 1 }));
      assert.deepEqual(entry.mtime, { seconds, nanoseconds });
    });
  }

  it("reads base-256 numbers, also negative ones", async () => {
    const entry = await readOne(
      tarMember({
        name: "f",
        uid: base256(2_097_152n, 8),
        gid: base256(0xffff_ffffn, 8),
        mtime: base256(-1n, 12),
      }),
    );
    assert.deepEqual([entry.uid, entry.gid, entry.mtime.seconds], [2_097_152, 0xffff_ffff, -1]);
  });

  it("reads ids, sizes and times from pax where the header has none", async () => {
    const entry = await readOne(
      paxHeader([
        ["uid", "4294967295"],
        ["gid", "2097152"],
        ["size", "4"],
      ]),
      tarMember({ name: "f", size: 0 }, "text"),
    );
    assert.deepEqual(
      [entry.uid, entry.gid, entry.type === "file" && entry.size],
      [0xffff_ffff, 2_097_152, 4],
    );
  });

  it("applies global pax records until they are replaced, below those of the entry", async () => {
    const tar = Buffer.concat([
      paxHeader(
        [
          ["uid", "7"],
          ["gid", "7"],
          ["comment", "x"],
        ],
        "g",
      ),
      tarMember({ name: "a" }),
      paxHeader([["uid", "8"]]),
      tarMember({ name: "b" }),
      paxHeader([["gid", "9"]], "g"),
      tarMember({ name: "c" }),
      TAR_END,
    ]);
    assert.deepEqual(
      (await entriesOf(tar)).map(({ path, uid, gid }) => [path, uid, gid]),
      [
        ["a", 7, 7],
        ["b", 8, 7],
        ["c", 7, 9],
      ],
    );
  });

  it("skips the content of a hard link, and sees when its size is only the target's", async () => {
    const content = "x".repeat(700);
    const link = { name: "l", type: "1", link: "f", size: 700 };
    for (const second of [tarMember(link, content), tarHeader(link)]) {
      const tar = Buffer.concat([
        tarMember({ name: "f" }, content),
        second,
        tarMember({ name: "g" }, "g"),
        TAR_END,
      ]);
      assert.deepEqual(await contentsOf(tar), { f: content, l: "hardlink", g: "g" });
    }
  });

  it("leaves out the bookkeeping of eStargz in the root only", async () => {
    const names = [".prefetch.landmark", ".no.prefetch.landmark", "stargz.index.json", "a/stargz.index.json"];
    const tar = Buffer.concat([...names.map((name) => tarMember({ name }, "1")), TAR_END]);
    assert.deepEqual(await contentsOf(tar), { "a/stargz.index.json": "1" });
  });

  it("takes a layer in pieces of any size, read or not", async () => {
    const tar = Buffer.concat([
      paxHeader([["path", "long"]]),
      tarMember({ name: "a" }, "a".repeat(1500)),
      tarMember({ name: "b" }, "b"),
      TAR_END,
    ]);
    for (const size of [1, 511, 512, 513, 4096]) {
      assert.deepEqual(await contentsOf(tar, size), { long: "a".repeat(1500), b: "b" });
      const paths: string[] = [];
      for await (const { entry, content } of readLayer(inPieces(tar, size))) {
        paths.push(entry.path);
        for await (const _ of content ?? []) break;
      }
      assert.deepEqual(paths, ["long", "b"]);
    }
  });

  it("accepts an archive without end marker or last padding", async () => {
    const tar = tarMember({ name: "a" }, "abc");
    assert.deepEqual(await contentsOf(tar), { a: "abc" });
    assert.deepEqual(await contentsOf(tar.subarray(0, 515)), { a: "abc" });
    assert.deepEqual(await contentsOf(Buffer.alloc(0)), {});
  });

  it("reads the source to its end, behind the end marker too", async () => {
    const tar = Buffer.concat([tarMember({ name: "a" }), TAR_END, Buffer.alloc(10_000, 1)]);
    let isDone = false;
    async function* source(): AsyncGenerator<Uint8Array> {
      yield* inPieces(tar, 512);
      isDone = true;
    }
    for await (const _ of readLayer(source()));
    assert.equal(isDone, true);
  });

  it("leaves the bytes of its source alone", async () => {
    const link = tarHeader({ name: "l", type: "1", link: "f", size: 3 });
    const tar = Buffer.concat([tarMember({ name: "f" }, "abc"), link, TAR_END]);
    const before = Buffer.from(tar);
    await entriesOf(tar);
    assert.ok(tar.equals(before));
  });

  it("reads no further than the caller does", async () => {
    let read = 0;
    async function* source(): AsyncGenerator<Uint8Array> {
      yield tarHeader({ name: "big", size: 1 << 30 });
      for (; read < 1 << 30; read += 65536) yield Buffer.alloc(65536);
    }
    const items = readLayer(source());
    const { value } = (await items.next()) as { value: LayerItem };
    const pieces = value.content?.[Symbol.asyncIterator]();
    for (let count = 0; count < 16; count++) await pieces?.next();
    await new Promise((resolve) => setTimeout(resolve, 20));
    assert.ok(read < 4 << 20, `read ${read} bytes ahead`);
    await items.return(undefined);
  });

  it("passes on the error of its source", async () => {
    async function* source(): AsyncGenerator<Uint8Array> {
      yield tarHeader({ name: "a", size: 100_000 });
      yield Buffer.alloc(1000);
      throw new CodedError("ERR_DIGEST_MISMATCH", "layer has another digest");
    }
    await assert.rejects(
      async () => {
        for await (const { content } of readLayer(source())) await readAll(content);
      },
      (error) => isCoded(error, "ERR_DIGEST_MISMATCH"),
    );
  });

  it("closes its source when the caller stops", async () => {
    let isClosed = false;
    async function* source(): AsyncGenerator<Uint8Array> {
      try {
        for (let index = 0; ; index++) yield tarMember({ name: `f${index}` }, "x");
      } finally {
        isClosed = true;
      }
    }
    for await (const _ of readLayer(source())) break;
    assert.equal(isClosed, true);
  });
});

const file = tarMember({ name: "f" }, "content");
const flipped = Buffer.from(file);
flipped[0] = 0x67;

const REFUSED: readonly [what: string, code: ErrorCode, tar: Buffer][] = [
  ["a wrong checksum", "ERR_LAYER_INVALID", flipped],
  ["bytes that are no tar", "ERR_LAYER_INVALID", Buffer.alloc(2048, 0x41)],
  ["an end inside a header", "ERR_LAYER_INVALID", file.subarray(0, 300)],
  ["an end inside a content", "ERR_LAYER_INVALID", file.subarray(0, 515)],
  ["an end inside a pax header", "ERR_LAYER_INVALID", paxHeader([["path", "abc"]]).subarray(0, 515)],
  ["an end after a pax header", "ERR_LAYER_INVALID", Buffer.concat([paxHeader([["path", "abc"]]), TAR_END])],
  ["a lone zero block", "ERR_LAYER_INVALID", Buffer.concat([Buffer.alloc(512), file])],
  ["a path that leaves the root", "ERR_LAYER_INVALID", tarMember({ name: "../f" })],
  ["a NUL in a pax path", "ERR_LAYER_INVALID", Buffer.concat([paxHeader([["path", "a\0b"]]), file])],
  ["a symlink to nothing", "ERR_LAYER_INVALID", tarMember({ name: "l", type: "2" })],
  ["a negative size", "ERR_LAYER_INVALID", tarHeader({ name: "f", size: base256(-5n, 12) })],
  ["a size that is no number", "ERR_LAYER_INVALID", tarHeader({ name: "f", size: Buffer.from("8888") })],
  ["a size beyond 2^53", "ERR_LAYER_INVALID", tarHeader({ name: "f", size: base256(1n << 60n, 12) })],
  ["a size beyond the limit", "ERR_LIMIT_EXCEEDED", tarHeader({ name: "f", size: base256(1n << 41n, 12) })],
  ["a uid beyond 32 bits", "ERR_LAYER_INVALID", tarMember({ name: "f", uid: base256(1n << 32n, 8) })],
  ["a device beyond Linux", "ERR_LAYER_INVALID", tarMember({ name: "f", type: "3", major: 0x1000 })],
  ["a pax uid that is no number", "ERR_LAYER_INVALID", Buffer.concat([paxHeader([["uid", "1e3"]]), file])],
  ["a pax mtime that is no time", "ERR_LAYER_INVALID", Buffer.concat([paxHeader([["mtime", "now"]]), file])],
  [
    "a pax record without length",
    "ERR_LAYER_INVALID",
    Buffer.concat([tarMember({ name: "x", type: "x" }, "a=b\n"), file]),
  ],
  [
    "a pax record longer than its header",
    "ERR_LAYER_INVALID",
    Buffer.concat([tarMember({ name: "x", type: "x" }, "99 a=b\n"), file]),
  ],
  [
    "a pax record without key",
    "ERR_LAYER_INVALID",
    Buffer.concat([tarMember({ name: "x", type: "x" }, "5 =b\n"), file]),
  ],
  ["a huge pax header", "ERR_LIMIT_EXCEEDED", tarHeader({ name: "x", type: "x", size: 1 << 30 })],
  ["a huge long name", "ERR_LIMIT_EXCEEDED", tarHeader({ name: "x", type: "L", size: 1 << 30 })],
  ["endless pax headers", "ERR_LIMIT_EXCEEDED", Buffer.concat(Array(40).fill(paxHeader([["a", "b"]])))],
  [
    "a huge xattr",
    "ERR_LIMIT_EXCEEDED",
    Buffer.concat([paxHeader([["SCHILY.xattr.user.a", Buffer.alloc(65536)]]), file]),
  ],
  [
    "too many xattrs",
    "ERR_LIMIT_EXCEEDED",
    Buffer.concat([
      paxHeader(Array.from({ length: 513 }, (_, index) => [`SCHILY.xattr.user.${index}`, ""] as const)),
      file,
    ]),
  ],
  ["a volume label", "ERR_FEATURE_UNSUPPORTED", tarMember({ name: "v", type: "V" })],
  ["a continued file", "ERR_FEATURE_UNSUPPORTED", tarMember({ name: "m", type: "M" })],
  ["an unknown type", "ERR_FEATURE_UNSUPPORTED", tarMember({ name: "z", type: "Z" })],
];

describe("readLayer() refuses", () => {
  for (const [what, code, tar] of REFUSED) {
    it(`${what} (${code})`, async () => {
      await assert.rejects(entriesOf(tar), (error) => isCoded(error, code));
    });
  }

  it("or reads whatever bytes it is given, but never crashes or hangs", async () => {
    const tar = Buffer.concat([
      paxHeader([
        ["mtime", "1.5"],
        ["path", "p"],
      ]),
      file,
      tarMember({ name: "g" }, "gg"),
      TAR_END,
    ]);
    for (let offset = 0; offset < tar.length; offset += 7) {
      const broken = Buffer.from(tar);
      broken[offset] = (broken[offset] ?? 0) ^ 0xff;
      await entriesOf(broken).catch((error: unknown) => assert.ok(isCoded(error), String(error)));
      await entriesOf(tar.subarray(0, offset)).catch((error: unknown) =>
        assert.ok(isCoded(error), String(error)),
      );
    }
  });
});
