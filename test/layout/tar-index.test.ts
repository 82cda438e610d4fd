import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { linkSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, truncateSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, describe, it } from "node:test";
import { gzipSync } from "node:zlib";
import fc from "fast-check";
import { isCoded } from "#src/base/errors.js";
import { openStoredFile, readStored } from "#src/layout/stored-file.js";
import { decodeTarHeader, encodeTarHeader } from "#src/layout/tar-header.js";
import { TarIndex } from "#src/layout/tar-index.js";

const directory = mkdtempSync(join(tmpdir(), "tar-"));
after(() => rmSync(directory, { recursive: true }));

async function indexOf(bytes: Uint8Array): Promise<TarIndex> {
  const path = join(directory, "made.tar");
  writeFileSync(path, bytes);
  const file = await openStoredFile(path);
  assert.ok(file !== undefined);
  try {
    return await TarIndex.read(file, "made.tar");
  } finally {
    await file.handle.close();
  }
}

function member(name: string, body: string): Buffer {
  const padding = Buffer.alloc((512 - (body.length % 512)) % 512);
  return Buffer.concat([encodeTarHeader(name, "0", body.length), Buffer.from(body), padding]);
}

function withType(header: Uint8Array, type: string, target = ""): Uint8Array {
  const changed = Buffer.from(header);
  changed.write(type, 156, "latin1");
  changed.write(target, 157, "latin1");
  changed.fill(" ", 148, 156);
  const sum = changed.reduce((total, byte) => total + byte, 0);
  changed.write(`${sum.toString(8).padStart(6, "0")}\0 `, 148, "latin1");
  return changed;
}

describe("TarIndex", () => {
  for (const format of ["gnu", "pax", "ustar", "v7"]) {
    it(`finds the files of an archive that tar wrote as ${format}, through links`, async () => {
      const tree = join(directory, format);
      // Old formats hold no long link targets; ustar splits a long name into prefix and name.
      const isOld = format === "ustar" || format === "v7";
      const long = `${"d".repeat(80)}/${"e".repeat(format === "ustar" ? 80 : 150)}`;
      const deep = format === "v7" ? "short" : long;
      mkdirSync(join(tree, deep), { recursive: true });
      writeFileSync(join(tree, deep, "layer.tar"), "layer");
      mkdirSync(join(tree, "aaa"));
      const linked = isOld ? "aaa/layer.tar" : `${deep}/layer.tar`;
      writeFileSync(join(tree, "aaa", "layer.tar"), "layer");
      symlinkSync(`../${linked}`, join(tree, "aaa", "symlink"));
      linkSync(join(tree, linked), join(tree, "z-hard"));
      const path = join(directory, `${format}.tar`);
      execFileSync("tar", [`--format=${format}`, "--sort=name", "-cf", path, "-C", tree, "."]);
      const file = await openStoredFile(path);
      assert.ok(file !== undefined);
      const index = await TarIndex.read(file, path);
      const read = async (name: string): Promise<string | undefined> => {
        const found = index.find(name);
        return (
          found && Buffer.from(await readStored(found, 0, found.size, name, "ERR_BLOB_CORRUPT")).toString()
        );
      };
      assert.deepEqual(
        await Promise.all([`${deep}/layer.tar`, "aaa/symlink", "z-hard", "absent"].map(read)),
        ["layer", "layer", "layer", undefined],
      );
      await file.handle.close();
    });
  }

  it("follows a symlink that is relative to its own directory", async () => {
    const link = withType(encodeTarHeader("b/layer.tar", "0", 0), "2", "../a/layer.tar");
    const index = await indexOf(Buffer.concat([member("a/layer.tar", "bytes"), link, Buffer.alloc(1024)]));
    assert.equal(index.find("b/layer.tar")?.size, 5);
  });

  it("refuses links in a circle, and never leaves the archive", async () => {
    const link = withType(encodeTarHeader("a", "0", 0), "2", "a");
    const outside = withType(encodeTarHeader("b", "0", 0), "2", "../../../etc/hostname");
    const index = await indexOf(Buffer.concat([link, outside, Buffer.alloc(1024)]));
    assert.throws(() => index.find("a"), { code: "ERR_ARCHIVE_CORRUPT" });
    assert.equal(index.find("b"), undefined);
  });

  it("names the compression of an archive that it refuses", async () => {
    const archive = gzipSync(Buffer.concat([member("a", "x"), Buffer.alloc(1024)]));
    await assert.rejects(indexOf(archive), { code: "ERR_FEATURE_UNSUPPORTED", message: /gzip/ });
  });

  it("refuses every archive that is cut short inside a member or has a flipped bit in a header", async () => {
    const whole = Buffer.concat([member("a", "x".repeat(600)), member("b", "y")]);
    await indexOf(whole);
    for (const length of [513, 1000, 1111]) {
      await assert.rejects(
        indexOf(whole.subarray(0, length)),
        { code: "ERR_ARCHIVE_CORRUPT" },
        `${length} bytes`,
      );
    }
    await assert.rejects(indexOf(Buffer.alloc(0)), { code: "ERR_ARCHIVE_CORRUPT" });
    for (const offset of [0, 124, 130, 150, 156]) {
      const altered = Buffer.from(whole);
      altered[offset] = (altered[offset] ?? 0) ^ 1;
      await assert.rejects(indexOf(altered), { code: "ERR_ARCHIVE_CORRUPT" }, `byte ${offset}`);
    }
  });

  it("refuses an extended header over its limit", async () => {
    const header = withType(encodeTarHeader("long", "0", 2 ** 20), "L");
    const archive = Buffer.concat([header, Buffer.alloc(2 ** 20)]);
    await assert.rejects(indexOf(archive), { code: "ERR_LIMIT_EXCEEDED" });
  });

  it("gives an index or a coded error for any damage to the headers", async () => {
    const long = withType(encodeTarHeader("long", "0", 6), "L");
    const pax = withType(encodeTarHeader("pax", "0", 12), "x");
    const padded = (text: string): Buffer =>
      Buffer.concat([Buffer.from(text), Buffer.alloc(512 - text.length)]);
    const whole = Buffer.concat([
      long,
      padded("name-1"),
      member("a", "x"),
      pax,
      padded("12 path=abc\n"),
      member("b", "y"),
    ]);
    assert.equal((await indexOf(whole)).find("name-1")?.size, 1);
    assert.equal((await indexOf(whole)).find("abc")?.size, 1);
    const damage = fc.array(fc.tuple(fc.nat(whole.length - 1), fc.nat(255)), { minLength: 1, maxLength: 4 });
    await fc.assert(
      fc.asyncProperty(damage, fc.boolean(), async (changes, isResealed) => {
        const altered: Uint8Array = Buffer.from(whole);
        for (const [offset, byte] of changes) altered[offset] = byte;
        // With its checksum made right again the damage reaches the fields behind it.
        if (isResealed) {
          for (let offset = 0; offset < altered.length; offset += 1024) {
            const header = altered.subarray(offset, offset + 512);
            altered.set(withType(header, String.fromCharCode(header[156] ?? 0)), offset);
          }
        }
        await indexOf(altered).catch((error: unknown) => {
          if (!isCoded(error)) throw error;
        });
      }),
      { numRuns: 150 },
    );
  });

  it("reads and writes sizes over 8 GiB as GNU tar does", () => {
    const size = 9 * 2 ** 30;
    const path = join(directory, "big.tar");
    writeFileSync(path, encodeTarHeader("big", "0", size));
    truncateSync(path, 512 + size + 1024);
    assert.match(execFileSync("tar", ["-tvf", path]).toString(), / 9663676416 .* big/);
    assert.equal(decodeTarHeader(encodeTarHeader("big", "0", size), "big").size, size);
  });
});
