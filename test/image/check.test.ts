import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { checkBootstrap } from "#src/image/check.js";
import { FINDINGS, type FindingCode, MAX_FINDINGS } from "#src/image/finding.js";
import { CHUNK_MUTATIONS } from "../support/chunk-mutations.ts";
import { goldenBootstrap, listGoldenBootstraps } from "../support/golden-blobs.ts";
import { HEADER_MUTATIONS } from "../support/header-mutations.ts";
import { MUTATED_IMAGE } from "../support/mutation.ts";
import { AT, PatchedBootstrap } from "../support/patched-bootstrap.ts";
import { digestOf } from "../support/raw-codecs.ts";
import { TREE_MUTATIONS } from "../support/tree-mutations.ts";
import { V5_MUTATIONS } from "../support/v5-mutations.ts";

/** What the golden images must have found on them; nothing for all others. */
const EXPECTED: Readonly<Record<string, readonly FindingCode[]>> = {
  "made/layer1": ["blob-id-placeholder"],
  "made/layer2": ["blob-id-placeholder"],
  "made/layer3": ["blob-id-placeholder"],
  "made/v6-inline": ["blob-id-placeholder"],
  "made/v6-inline-toc": ["blob-id-placeholder"],
  // nydus 2.4.4 places link targets of over 512 bytes where the kernel does not read them.
  "made/tarfs": ["feature-unsupported", "symlink-target-invalid"],
  "made/targz-ref": ["feature-unsupported"],
  "made/v6-batch": ["feature-unsupported"],
  "made/v6-encrypt": ["feature-unsupported"],
  "nydusify/batch": ["feature-unsupported"],
  "nydusify/zran": ["feature-unsupported"],
};

const MUTATIONS = [...HEADER_MUTATIONS, ...TREE_MUTATIONS, ...CHUNK_MUTATIONS, ...V5_MUTATIONS];

function codesOf(bytes: Uint8Array): FindingCode[] {
  return [...new Set(checkBootstrap(bytes, { digest: digestOf }).map(({ code }) => code))];
}

describe("checkBootstrap()", () => {
  for (const { name, bytes } of listGoldenBootstraps()) {
    it(`finds ${EXPECTED[name]?.join(", ") ?? "nothing"} in ${name}`, () => {
      assert.deepEqual(codesOf(bytes), EXPECTED[name] ?? []);
    });
  }

  for (const { what, code, image = MUTATED_IMAGE, change } of MUTATIONS) {
    it(`finds ${code} in ${image} with ${what}`, () => {
      const patched = new PatchedBootstrap(image);
      change(patched);
      const codes = codesOf(patched.bytes);
      assert.ok(codes.includes(code), `found ${codes.join(", ") || "nothing"}`);
    });
  }

  it("finds nothing in an image with a size, but no place of a prefetch table, as old builders left", () => {
    const patched = new PatchedBootstrap(MUTATED_IMAGE);
    patched.u64(AT.extended + 40, 0);
    patched.u32(AT.extended + 48, 8);
    assert.deepEqual(codesOf(patched.bytes), []);
  });

  it("finds image-size-invalid in no bytes, in a cut image and in one with a byte too many", () => {
    const { bytes } = goldenBootstrap("made/merged");
    for (const size of [0, 1, 1023, 4095, bytes.length - 1, bytes.length + 1]) {
      const changed = new Uint8Array(size);
      changed.set(bytes.subarray(0, Math.min(size, bytes.length)));
      assert.deepEqual(codesOf(changed).includes("image-size-invalid"), true, `${size} bytes`);
    }
  });

  it("stops with too-many-findings", () => {
    const patched = new PatchedBootstrap(MUTATED_IMAGE);
    // The file of every name of three large directories gets a mode without type, no links and a bad time.
    const table = patched.chunkTable;
    for (let row = 0; row < 467; row++) {
      patched.u8(table + row * 80, 0xff - (row >> 1));
      patched.u32(table + row * 80 + 44, 0);
      patched.u64(table + row * 80 + 48, 2 ** 39 - row);
    }
    for (let name = 0; name < 420; name++) {
      patched.u32(patched.inode(`/dirs/many/${String(name).padStart(4, "0")}`).offset + 44, 0);
      patched.u32(patched.inode(`/dirs/many/${String(name).padStart(4, "0")}`).offset + 40, 2 ** 31);
    }
    const findings = checkBootstrap(patched.bytes);
    assert.equal(findings.length, MAX_FINDINGS + 1);
    assert.equal(findings.at(-1)?.code, "too-many-findings");
  });

  it("has a test for every finding", () => {
    const tested = new Set<string>([
      ...MUTATIONS.map(({ code }) => code),
      // check-chunk-information.test.ts
      "header-context-invalid",
      "decoded-size-mismatch",
      "image-size-invalid",
      "too-many-findings",
      // More than 254 blobs or 4096 levels take an image larger than these.
      "limit-exceeded",
    ]);
    assert.deepEqual(
      Object.keys(FINDINGS).filter((code) => !tested.has(code)),
      [],
    );
  });

  for (const name of ["made/merged", "nydus/bootstrap", "nydus/repeatable/sha256-nocompress-repeatable"]) {
    it(`gives findings or none, and soon, whatever bytes of ${name} change`, () => {
      const { bytes } = goldenBootstrap(name);
      const change = fc.tuple(fc.nat(bytes.length - 1), fc.nat(255));
      fc.assert(
        fc.property(fc.array(change, { minLength: 1, maxLength: 12 }), (changes) => {
          const changed = bytes.slice();
          for (const [at, value] of changes) changed[at] = value;
          const started = performance.now();
          const findings = checkBootstrap(changed);
          assert.ok(performance.now() - started < 2000);
          for (const { code, severity } of findings) assert.equal(severity, FINDINGS[code]);
        }),
        { numRuns: 300 },
      );
    });
  }
});
