import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { isCoded } from "#src/base/errors.js";
import { checkSymlinkTarget, cleanLayerPath } from "#src/image/layer-path.js";

const isInvalid = (error: unknown): boolean => isCoded(error, "ERR_LAYER_INVALID");

describe("cleanLayerPath()", () => {
  for (const [path, clean] of [
    ["", ""],
    ["./", ""],
    ["/", ""],
    [".", ""],
    ["a/..", ""],
    ["/etc/passwd", "etc/passwd"],
    ["./a//b/./c/", "a/b/c"],
    ["a/../b", "b"],
    ["..a/...", "..a/..."],
    ["\xff\n", "\xff\n"],
    ["x".repeat(255), "x".repeat(255)],
    [`./${"ab/".repeat(1365)}c/`, `${"ab/".repeat(1365)}c`],
  ] as const) {
    it(`reads ${JSON.stringify(path.slice(0, 20))} as ${JSON.stringify(clean.slice(0, 20))}`, () => {
      assert.equal(cleanLayerPath(path), clean);
    });
  }

  for (const [name, path] of [
    ["leaves the root", "../a"],
    ["leaves the root on the way", "a/../../b"],
    ["holds a NUL", "a\0b"],
    ["has a name of 256 bytes", `a/${"x".repeat(256)}`],
    ["has 4097 bytes", `${"a/".repeat(2048)}b`],
  ] as const) {
    it(`refuses a path that ${name}`, () => {
      assert.throws(() => cleanLayerPath(path), isInvalid);
    });
  }
});

describe("checkSymlinkTarget()", () => {
  it("keeps a target as it stands", () => {
    assert.equal(checkSymlinkTarget("a", "../..//x/./"), "../..//x/./");
  });

  for (const target of ["", "a\0", "x".repeat(4096)]) {
    it(`refuses a target of ${target.length} bytes: ${JSON.stringify(target.slice(0, 4))}`, () => {
      assert.throws(() => checkSymlinkTarget("a", target), isInvalid);
    });
  }
});
