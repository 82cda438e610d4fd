import { viewOf } from "#src/base/bytes.js";
import { encodeInHeader } from "#src/format/fuse/header.js";
import { FUSE_ERRORS, FUSE_OPCODES } from "#src/format/fuse/opcodes.js";
import { BootstrapView } from "#src/image/bootstrap-view.js";
import { FuseHandler, REPLY_BUFFER_SIZE, REQUEST_BUFFER_SIZE } from "#src/mount/fuse-handler.js";
import { answerInit } from "#src/mount/fuse-init.js";
import { ImageFiles } from "#src/mount/image-files.js";
import { Superblock } from "#src/mount/superblock.js";
import { goldenBootstrap } from "../support/golden-blobs.ts";
import type { FuzzTarget } from "./fuzz-target.ts";
import { once } from "./once.ts";

function request(opcode: number, nodeId: number, body: Uint8Array): Uint8Array {
  const bytes = new Uint8Array(40 + body.length);
  encodeInHeader(viewOf(bytes), 0, { length: bytes.length, opcode, unique: 8, nodeId, pid: 1 });
  bytes.set(body, 40);
  return bytes;
}

/** Every request, of some nodes, with a body of what the kernel sends. */
function requests(): Uint8Array[] {
  const read = new Uint8Array(40);
  viewOf(read).setUint32(16, 4096, true);
  const xattr = Buffer.concat([Buffer.from([0, 16, 0, 0, 0, 0, 0, 0]), Buffer.from("user.key\0")]);
  const bodies = [new Uint8Array(0), Buffer.from("etc\0"), read, xattr, new Uint8Array(80)];
  return Object.values(FUSE_OPCODES).flatMap((opcode) =>
    [...nodes().keys()].flatMap((node) => bodies.map((body) => request(opcode, node, body))),
  );
}

const bootstrap = once(() => goldenBootstrap("nydusify/native").bytes);
const golden = once(() => new BootstrapView(bootstrap()));
const handler = once(() => {
  const superblock = new Superblock("tree");
  superblock.add(new ImageFiles({ number: 0, bootstrap: bootstrap(), blobs: [] }));
  return new FuseHandler(superblock);
});

/** The nodes that the kernel may know, with the type bits of their modes. */
const nodes = once(() => {
  const view = golden();
  const types = new Map([[1, 4]]);
  for (const { nid, name } of view.entries(view.inode(view.rootNid))) {
    if (name !== "." && name !== "..") types.set(nid + 2, view.inode(nid).mode >> 12);
  }
  return types;
});

/** A request as some process can make the kernel send it: numbers of requests and nodes are the kernel's own. */
function asKernel(bytes: Uint8Array): Uint8Array {
  const sent = bytes.slice(0, REQUEST_BUFFER_SIZE);
  for (const at of [14, 15, 22, 23]) if (at < sent.length) sent[at] = 0;
  return sent;
}

/** Requests of whatever process has the mount open. */
export const FUSE_TARGETS: readonly FuzzTarget[] = [
  {
    name: "fuse-request",
    corpus: requests,
    decode: (bytes) => {
      const sent = asKernel(bytes);
      handler().request.set(sent);
      const handled = handler().handle(sent.length);
      if (typeof handled !== "number" || handled === 0) return;
      const view = viewOf(handler().reply);
      if (handled < 16 || handled > REPLY_BUFFER_SIZE || view.getUint32(0, true) !== handled) {
        throw new Error(`reply of ${handled} bytes says ${view.getUint32(0, true)}`);
      }
      // The handler answers its own bugs with EIO too; of a sound image nothing else gives that.
      if (view.getInt32(4, true) === -FUSE_ERRORS.EIO && isSensible(sent))
        throw new Error("answers with EIO");
    },
  },
  {
    name: "fuse-init",
    corpus: () => [request(FUSE_OPCODES.INIT, 0, Buffer.from("07000000260000000000020000000000", "hex"))],
    decode: (bytes) => answerInit(asKernel(bytes)),
  },
];

/** Whether the kernel asks this of a node of its type. */
function isSensible(sent: Uint8Array): boolean {
  const view = viewOf(sent);
  const type = nodes().get(Number(view.getBigUint64(16, true)));
  const opcode = view.getUint32(4, true);
  if (type === undefined) return false;
  const { LOOKUP, READDIR, READDIRPLUS, READLINK, READ } = FUSE_OPCODES;
  if (opcode === READ) return type === 8;
  if (opcode === READLINK) return type === 10;
  return type === 4 || ![LOOKUP, READDIR, READDIRPLUS].some((one) => one === opcode);
}
