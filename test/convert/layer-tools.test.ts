import assert from "node:assert/strict";
import { execFileSync, spawnSync } from "node:child_process";
import {
  closeSync,
  linkSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readFileSync,
  rmSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
  writeSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, describe, it } from "node:test";
import { readLayer } from "#src/convert/layer-reader.js";
import { LayeredTree } from "#src/image/overlay.js";
import { entriesOf, goldenRows, inPieces, readAll, setEarlyTime } from "../support/layers.ts";

const scratch = mkdtempSync(join(tmpdir(), "layer-tools-"));
after(() => rmSync(scratch, { recursive: true }));

function reasonWithout(command: string, version: string, pattern: RegExp): string | false {
  const { stdout } = spawnSync(command, [version], { encoding: "utf8" });
  return pattern.test(stdout ?? "") ? false : `${command} is not installed`;
}

const noTar = reasonWithout("tar", "--version", /GNU tar/);
const noPython = reasonWithout("python3", "--version", /Python 3/);
const noBsdtar = reasonWithout("bsdtar", "--version", /bsdtar/);

/** A file of 60 runs, more than one extension block of the old GNU format, with a hole at its end. */
function makeSparseFile(): Buffer {
  const directory = join(scratch, "sparse");
  mkdirSync(directory, { recursive: true });
  const path = join(directory, "holes");
  const file = openSync(path, "w");
  for (let run = 0; run < 60; run++)
    writeSync(file, Buffer.alloc(4096, run + 1), 0, 4096, run * 65536 + 32768);
  closeSync(file);
  truncateSync(path, 60 * 65536 + 1234);
  writeFileSync(join(directory, "zz-after"), "behind it");
  const empty = join(directory, "only-hole");
  writeFileSync(empty, "");
  truncateSync(empty, 100_000);
  return readFileSync(path);
}

describe("readLayer() reads sparse files of GNU tar", { skip: noTar }, () => {
  for (const [name, options] of [
    ["old GNU format", ["--format=gnu"]],
    ["pax 0.0", ["--format=posix", "--sparse-version=0.0"]],
    ["pax 0.1", ["--format=posix", "--sparse-version=0.1"]],
    ["pax 1.0", ["--format=posix", "--sparse-version=1.0"]],
  ] as const) {
    it(`in ${name}`, async () => {
      const expected = makeSparseFile();
      const tar = execFileSync(
        "tar",
        [...options, "-S", "-C", join(scratch, "sparse"), "--sort=name", "-c", "."],
        {
          maxBuffer: 1 << 26,
        },
      );
      assert.ok(tar.length < 1 << 20, "the tar is not sparse");
      const contents = new Map<string, Buffer>();
      for await (const { entry, content } of readLayer(inPieces(tar, 1000))) {
        if (content === undefined) continue;
        const bytes = await readAll(content);
        assert.equal(entry.type === "file" && entry.size, bytes.length);
        contents.set(entry.path, bytes);
      }
      assert.deepEqual([...contents.keys()], ["holes", "only-hole", "zz-after"]);
      assert.ok(contents.get("holes")?.equals(expected), "the content differs");
      assert.ok(contents.get("only-hole")?.equals(Buffer.alloc(100_000)), "the hole is not zeros");
      assert.equal(contents.get("zz-after")?.toString(), "behind it");
    });
  }
});

function makeTree(): string {
  const root = join(scratch, "tree");
  rmSync(root, { recursive: true, force: true });
  mkdirSync(join(root, "d".repeat(200), "e".repeat(200)), { recursive: true });
  const raw = Buffer.concat([Buffer.from(`${root}/`), Buffer.from("\xff\n\xfe", "latin1")]);
  writeFileSync(raw, "raw name");
  writeFileSync(join(root, "d".repeat(200), "e".repeat(200), "f"), "deep");
  linkSync(join(root, "d".repeat(200), "e".repeat(200), "f"), join(root, "linked"));
  symlinkSync("t".repeat(300), join(root, "soft"));
  writeFileSync(join(root, "early"), "");
  setEarlyTime(join(root, "early"));
  return root;
}

describe("readLayer() reads what real tools write", () => {
  for (const [name, skip, command, options, earlyNs] of [
    ["GNU tar, pax", noTar, "tar", ["--format=posix", "--sort=name"], "-1500000000"],
    ["GNU tar, gnu", noTar, "tar", ["--format=gnu", "--sort=name"], "-2000000000"],
    // libarchive writes -1.5 s as -2 s and a fraction that counts forward, "-2.5", which POSIX reads as two and a half.
    ["bsdtar, pax", noBsdtar, "bsdtar", ["--format=pax"], "-2500000000"],
    // Its GNU form has no time before 1970.
    ["bsdtar, gnutar", noBsdtar, "bsdtar", ["--format=gnutar"], "0"],
  ] as const) {
    it(name, { skip }, async () => {
      const root = makeTree();
      const tar = execFileSync(command, [...options, "-C", root, "-cf", "-", "."], { maxBuffer: 1 << 24 });
      const tree = new LayeredTree();
      tree.applyLayer(await entriesOf(tar));
      const rows = goldenRows(tree.build());
      const deep = `${"d".repeat(200)}/${"e".repeat(200)}/f`;
      assert.deepEqual(
        rows.map(({ path, nlink, target }) => [path, nlink, target]),
        [
          [".", undefined, undefined],
          ["d".repeat(200), undefined, undefined],
          [`${"d".repeat(200)}/${"e".repeat(200)}`, undefined, undefined],
          [deep, 2, undefined],
          ["early", 1, undefined],
          ["linked", 2, undefined],
          ["soft", 1, "t".repeat(300)],
          ["\xff\n\xfe", 1, undefined],
        ],
      );
      const early = rows.find(({ path }) => path === "early");
      assert.equal(early?.mtimeNs, earlyNs);
    });
  }

  it("Python's tarfile, pax with ids and sizes beyond ustar", { skip: noPython }, async () => {
    const script = `
import io, sys, tarfile
t = tarfile.open(fileobj=sys.stdout.buffer, mode="w|", format=tarfile.PAX_FORMAT, encoding="utf-8", errors="surrogateescape")
i = tarfile.TarInfo(b"caf\\xc3\\xa9/\\xff".decode("utf-8", "surrogateescape"))
i.uid = 3000000000; i.gid = 2097152; i.mtime = -12.75; i.size = 3
i.pax_headers = {"SCHILY.xattr.user.a": "line\\nbreak"}
t.addfile(i, io.BytesIO(b"abc"))
t.close()`;
    const [entry] = await entriesOf(execFileSync("python3", ["-c", script]));
    assert.equal(entry?.path, "caf\xc3\xa9/\xff");
    assert.deepEqual([entry.uid, entry.gid], [3_000_000_000, 2_097_152]);
    assert.deepEqual(entry.mtime, { seconds: -13, nanoseconds: 250_000_000 });
    assert.equal(Buffer.from(entry.xattrs.get("user.a") ?? []).toString(), "line\nbreak");
  });
});
