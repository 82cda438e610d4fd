import assert from "node:assert/strict";
import { closeSync, ftruncateSync, mkdtempSync, openSync, rmSync, writeSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, describe, it } from "node:test";
import fc from "fast-check";
import { bytesOf, viewOf } from "#src/base/bytes.js";
import { encodeInHeader } from "#src/format/fuse/header.js";
import { FUSE_ERRORS, FUSE_OPCODES } from "#src/format/fuse/opcodes.js";
import { SUPER_FLAGS } from "#src/format/rafs/features.js";
import { BootstrapView } from "#src/image/bootstrap-view.js";
import { Filesystem } from "#src/mount/filesystem.js";
import { FuseHandler, type Handled } from "#src/mount/fuse-handler.js";
import { ImageFiles } from "#src/mount/image-files.js";
import type { SharedBlob } from "#src/mount/mount-blob.js";
import { Superblock } from "#src/mount/superblock.js";
import { createReadyBits, setReady } from "#src/store/ready-bits.js";
import { goldenBootstrap } from "../support/golden-blobs.ts";

const bootstrap = goldenBootstrap("made/v6-zstd-blake3").bytes;
const view = new BootstrapView(bootstrap);
const filesystem = new Filesystem(view);

/** A handler of a superblock that is the tree of one image. */
function handlerOf(bytes: Uint8Array, blobs: (SharedBlob | undefined)[]): FuseHandler {
  const superblock = new Superblock("tree");
  superblock.add(new ImageFiles({ number: 0, bootstrap: bytes, blobs }));
  return new FuseHandler(superblock);
}

/** Sends one request to a handler; gives what became of it and the error and body of the reply. */
function send(handler: FuseHandler, opcode: number, nodeId: number, body: Uint8Array) {
  const length = 40 + body.length;
  encodeInHeader(viewOf(handler.request), 0, { length, opcode, unique: 8, nodeId, pid: 77 });
  handler.request.set(body, 40);
  const handled: Handled = handler.handle(length);
  const out = viewOf(handler.reply);
  const replied = typeof handled === "number" ? handled : 0;
  return {
    handled,
    error: Math.abs(out.getInt32(4, true)),
    body: handler.reply.slice(16, Math.max(16, replied)),
    unique: Number(out.getBigUint64(8, true)),
  };
}

const name = (text: string): Uint8Array => bytesOf(`${text}\0`);

function readBody(offset: number, size: number): Uint8Array {
  const body = new Uint8Array(40);
  viewOf(body).setBigUint64(8, BigInt(offset), true);
  viewOf(body).setUint32(16, size, true);
  return body;
}

function lookup(handler: FuseHandler, ...path: readonly string[]): number {
  let node = 1;
  for (const part of path) {
    node = Number(viewOf(send(handler, FUSE_OPCODES.LOOKUP, node, name(part)).body).getBigUint64(0, true));
  }
  return node;
}

describe("FuseHandler", () => {
  const handler = handlerOf(bootstrap, []);

  it("finds names, with node ids made of nids", () => {
    const nid = filesystem.lookup(filesystem.rootNid, "sizes");
    assert.equal(lookup(handler, "sizes"), (nid ?? 0) + 2);
    assert.equal(lookup(handler, "sizes", ".."), 1);
  });

  it("lets the kernel remember that a name does not exist", () => {
    const reply = send(handler, FUSE_OPCODES.LOOKUP, 1, name("no such name"));
    assert.deepEqual([reply.error, reply.unique, reply.body.length], [0, 8, 128]);
    assert.equal(viewOf(reply.body).getBigUint64(0, true), 0n);
    assert.ok(viewOf(reply.body).getBigUint64(16, true) >= 86_400n);
  });

  it("lists a directory in replies of any size, without losing or repeating a name", () => {
    for (const opcode of [FUSE_OPCODES.READDIR, FUSE_OPCODES.READDIRPLUS]) {
      for (const room of [4096, 512, 333]) {
        const found: string[] = [];
        for (let offset = 0, more = true; more; ) {
          const { body } = send(handler, opcode, lookup(handler, "sizes"), readBody(offset, room));
          assert.ok(body.length <= room);
          more = body.length > 0;
          for (let at = 0; at < body.length; ) {
            const record = viewOf(body);
            if (opcode === FUSE_OPCODES.READDIRPLUS) at += 128;
            offset = Number(record.getBigUint64(at + 8, true));
            const length = record.getUint32(at + 16, true);
            found.push(Buffer.from(body.subarray(at + 24, at + 24 + length)).toString("latin1"));
            at += Math.ceil((24 + length) / 8) * 8;
          }
        }
        const directory = filesystem.lookup(filesystem.rootNid, "sizes") ?? 0;
        assert.deepEqual(
          found,
          [...filesystem.entriesFrom(directory, 0)].map((entry) => entry.name),
        );
      }
    }
  });

  it("answers nothing to FORGET and BATCH_FORGET", () => {
    for (const opcode of [FUSE_OPCODES.FORGET, FUSE_OPCODES.BATCH_FORGET]) {
      assert.equal(send(handler, opcode, 1, new Uint8Array(16)).handled, 0);
    }
  });

  it("passes on which request was interrupted", () => {
    const body = new Uint8Array(8);
    body[0] = 44;
    assert.deepEqual(send(handler, FUSE_OPCODES.INTERRUPT, 0, body).handled, { interrupted: 44 });
  });

  it("refuses OPEN, OPENDIR and what it does not know with ENOSYS", () => {
    for (const opcode of [FUSE_OPCODES.OPEN, FUSE_OPCODES.OPENDIR, 46, 9999]) {
      assert.equal(send(handler, opcode, 1, new Uint8Array(16)).error, FUSE_ERRORS.ENOSYS);
    }
  });

  it("tells the size of an xattr, gives it, and says when there is too little room", () => {
    const [nid, attribute, value] = firstXattr();
    const ask = (room: number) => {
      const body = Buffer.concat([Buffer.alloc(8), name(attribute)]);
      body.writeUInt32LE(room);
      return send(handler, FUSE_OPCODES.GETXATTR, nid + 2, body);
    };
    assert.equal(viewOf(ask(0).body).getUint32(0, true), value.length);
    assert.deepEqual(ask(65_536).body, Uint8Array.from(value));
    assert.equal(ask(value.length - 1).error, value.length > 1 ? FUSE_ERRORS.ERANGE : 0);
    const absent = Buffer.concat([Buffer.alloc(8), name("user.none")]);
    assert.equal(send(handler, FUSE_OPCODES.GETXATTR, nid + 2, absent).error, FUSE_ERRORS.ENODATA);
  });

  it("makes the kernel ask for no xattrs at all when the image says that it has none", () => {
    const bytes = goldenBootstrap("made/v6-zstd-blake3").bytes.slice();
    const flags = viewOf(bytes).getUint32(1152, true);
    assert.notEqual(flags & SUPER_FLAGS.HAS_XATTR, 0);
    viewOf(bytes).setUint32(1152, flags - SUPER_FLAGS.HAS_XATTR, true);
    const plain = handlerOf(bytes, []);
    const getxattr = send(plain, FUSE_OPCODES.GETXATTR, 1, Buffer.concat([Buffer.alloc(8), name("user.a")]));
    assert.equal(getxattr.error, FUSE_ERRORS.ENOSYS);
    assert.equal(send(plain, FUSE_OPCODES.LISTXATTR, 1, new Uint8Array(8)).error, FUSE_ERRORS.ENOSYS);
  });

  it("hands a READ with a chunk that is not ready to somebody else", () => {
    const node = lookup(handler, "sizes", "f1048577");
    const { handled } = send(handler, FUSE_OPCODES.READ, node, readBody(100, 4096));
    assert.deepEqual(handled, { unique: 8, pid: 77, nodeId: node, offset: 100, size: 4096 });
  });

  it("answers any bytes with a reply that fits, and never throws", () => {
    const opcodes = Object.values(FUSE_OPCODES);
    fc.assert(
      fc.property(
        fc.constantFrom(...opcodes),
        fc.oneof(fc.nat({ max: 10_000 }), fc.maxSafeNat()),
        fc.uint8Array({ maxLength: 80 }),
        (opcode, node, body) => {
          const { handled } = send(handler, opcode, node, body);
          if (typeof handled !== "number") return;
          assert.ok(handled <= handler.reply.length);
          if (handled > 0) assert.equal(viewOf(handler.reply).getUint32(0, true), handled);
        },
      ),
      { numRuns: 500 },
    );
  });
});

function firstXattr(): [number, string, Uint8Array] {
  for (let nid = view.rootNid; ; nid++) {
    try {
      const [first] = filesystem.xattrs(nid);
      if (first !== undefined && first[1].length > 1) return [nid, ...first];
    } catch {
      // No inode starts here.
    }
  }
}

describe("FuseHandler over a cache file", () => {
  const folder = mkdtempSync(join(tmpdir(), "handler-"));
  const fd = openSync(join(folder, "cache"), "w+");
  after(() => {
    closeSync(fd);
    rmSync(folder, { recursive: true });
  });

  const nid = filesystem.lookup(filesystem.lookup(filesystem.rootNid, "sizes") ?? 0, "f1048577") ?? 0;
  const { pieces } = filesystem.plan(nid, 0, 2 ** 20);
  const count = 1 + Math.max(...pieces.map(({ chunkIndex }) => chunkIndex));

  /** One blob whose chunks lie 1 MiB apart, each filled with its index. */
  function blob(): SharedBlob {
    const decodedOffsets = new Float64Array(count).map((_, index) => index * 2 ** 20);
    const decodedSizes = new Uint32Array(count).fill(view.chunkSize);
    for (const { chunkIndex } of pieces) {
      writeSync(fd, Buffer.alloc(view.chunkSize, chunkIndex & 0xff), 0, view.chunkSize, chunkIndex * 2 ** 20);
    }
    return { fd, ready: createReadyBits(count), decodedOffsets, decodedSizes };
  }

  it("answers a READ from the place that the chunk table says, once all its chunks are ready", () => {
    const shared = blob();
    const handler = handlerOf(bootstrap, [shared]);
    const read = () => send(handler, FUSE_OPCODES.READ, nid + 2, readBody(0, 2 ** 20));
    for (const { chunkIndex } of pieces) {
      assert.notEqual(typeof read().handled, "number");
      setReady(shared.ready, chunkIndex);
    }
    const expected = Buffer.concat(
      pieces.map((piece) => Buffer.alloc(piece.length, piece.chunkIndex & 0xff)),
    );
    assert.ok(Buffer.from(read().body).equals(expected));
  });

  it("fails with EIO when the cache file was cut short, and when a chunk is shorter than the file needs", () => {
    const shared = blob();
    for (const { chunkIndex } of pieces) setReady(shared.ready, chunkIndex);
    const handler = handlerOf(bootstrap, [shared]);
    const last = Math.max(...pieces.map(({ chunkIndex }) => chunkIndex));
    ftruncateSync(fd, last * 2 ** 20 + 10);
    assert.equal(send(handler, FUSE_OPCODES.READ, nid + 2, readBody(0, 2 ** 20)).error, FUSE_ERRORS.EIO);
    shared.decodedSizes.fill(10);
    assert.equal(send(handler, FUSE_OPCODES.READ, nid + 2, readBody(0, 2 ** 20)).error, FUSE_ERRORS.EIO);
  });
});
