import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { Digest } from "#src/base/digest.js";
import { formatPlatform, parsePlatform, platformOfHost, rowsForPlatform } from "#src/format/oci/platform.js";

describe("parsePlatform()", () => {
  for (const [text, normal] of [
    ["linux/amd64", "linux/amd64"],
    ["Linux/x86_64", "linux/amd64"],
    ["linux/aarch64", "linux/arm64"],
    ["linux/arm/v7", "linux/arm/v7"],
  ] as const) {
    it(`reads ${text}`, () => assert.equal(formatPlatform(parsePlatform(text)), normal));
  }

  for (const text of ["", "linux", "linux/", "/amd64", "linux/arm/v7/x", "linux/a b"]) {
    it(`refuses ${JSON.stringify(text)}`, () => {
      assert.throws(() => parsePlatform(text), { code: "ERR_OPTION_INVALID" });
    });
  }
});

describe("platformOfHost()", () => {
  it("runs Linux images on Linux and macOS", () => {
    assert.deepEqual(
      [
        ["linux", "x64"],
        ["darwin", "arm64"],
        ["win32", "x64"],
      ].map(([system = "", processor = ""]) => formatPlatform(platformOfHost(system, processor))),
      ["linux/amd64", "linux/arm64", "windows/amd64"],
    );
  });
});

describe("rowsForPlatform()", () => {
  const rows = [
    "linux/amd64",
    "linux/arm/v5",
    "linux/arm/v7",
    "linux/arm/v6",
    "linux/arm64/v8",
    "unknown/unknown",
    "linux/amd64",
  ].map((platform, index) => ({
    mediaType: "application/vnd.oci.image.manifest.v1+json",
    digest: `sha256:${"0".repeat(64)}` as Digest,
    size: index,
    platform: parsePlatform(platform),
  }));
  const chosen = (platform: string): number[] =>
    rowsForPlatform(rows, parsePlatform(platform)).map((row) => row.size);

  it("gives the rows that a processor runs, nearest variant first", () => {
    assert.deepEqual(
      [
        "linux/arm",
        "linux/arm/v6",
        "linux/arm/v8",
        "linux/arm64",
        "linux/amd64",
        "linux/s390x",
        "windows/amd64",
      ].map(chosen),
      [[2, 3, 1], [3, 1], [2, 3, 1], [4], [0, 6], [], []],
    );
  });
});
