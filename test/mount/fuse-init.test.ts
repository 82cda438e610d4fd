import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { viewOf } from "#src/base/bytes.js";
import { encodeInHeader } from "#src/format/fuse/header.js";
import { FUSE_INIT_FLAGS } from "#src/format/fuse/init.js";
import { FUSE_ERRORS, FUSE_OPCODES } from "#src/format/fuse/opcodes.js";
import { answerInit } from "#src/mount/fuse-init.js";

/** An INIT request as a kernel that speaks `major`.`minor` and can `flags` sends it. */
function initRequest(major: number, minor: number, flags: number): Uint8Array {
  const bytes = new Uint8Array(40 + 64);
  encodeInHeader(viewOf(bytes), 0, { length: 104, opcode: FUSE_OPCODES.INIT, unique: 2, nodeId: 0, pid: 0 });
  viewOf(bytes).setUint32(40, major, true);
  viewOf(bytes).setUint32(44, minor, true);
  viewOf(bytes).setUint32(52, flags, true);
  return bytes;
}

describe("answerInit()", () => {
  it("agrees to nothing that the kernel did not offer", () => {
    const offered = FUSE_INIT_FLAGS.ASYNC_READ + FUSE_INIT_FLAGS.MAX_PAGES + 2 ** 16;
    const { bytes, problem } = answerInit(initRequest(7, 45, offered));
    assert.equal(problem, undefined);
    assert.equal(viewOf(bytes).getUint32(0, true), 80);
    assert.equal(
      viewOf(bytes).getUint32(16 + 12, true),
      FUSE_INIT_FLAGS.ASYNC_READ + FUSE_INIT_FLAGS.MAX_PAGES,
    );
  });

  it("refuses versions that it does not speak with EPROTO", () => {
    for (const [major, minor] of [
      [7, 30],
      [8, 0],
      [6, 40],
    ] as const) {
      const { bytes, problem } = answerInit(initRequest(major, minor, 0));
      assert.match(problem ?? "", new RegExp(`FUSE ${major}\\.${minor}`));
      assert.equal(viewOf(bytes).getInt32(4, true), -FUSE_ERRORS.EPROTO);
    }
  });

  it("records whether the kernel can send requests again, which it says in its second word of flags", () => {
    const request = initRequest(7, 45, 2 ** 30);
    assert.deepEqual(answerInit(request).session, { version: 1, minor: 45, canResend: false });
    viewOf(request).setUint32(56, 2 ** 7, true);
    assert.deepEqual(answerInit(request).session, { version: 1, minor: 45, canResend: true });
    viewOf(request).setUint32(52, 0, true);
    assert.equal(answerInit(request).session?.canResend, false);
  });

  it("does not fall over a request that is too short", () => {
    assert.notEqual(answerInit(new Uint8Array(10)).problem, undefined);
  });
});
