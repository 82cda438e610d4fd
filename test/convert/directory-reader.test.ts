import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import {
  appendFileSync,
  chmodSync,
  linkSync,
  mkdirSync,
  mkdtempSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, it } from "node:test";
import { isCoded } from "#src/base/errors.js";
import { readDirectory } from "#src/convert/directory-reader.js";
import { LayeredTree } from "#src/image/overlay.js";
import { collectEntries, goldenRows, setEarlyTime } from "../support/layers.ts";

const noRoot = process.getuid?.() === 0 ? false : "making device nodes needs root";

describe("readDirectory()", () => {
  let root = "";
  beforeEach(() => {
    root = mkdtempSync(join(tmpdir(), "directory-reader-"));
  });
  afterEach(() => rmSync(root, { recursive: true }));

  it("reads files, directories and links in the order of their names, first names first", async () => {
    mkdirSync(join(root, "b"));
    writeFileSync(join(root, "b", "file"), "text");
    linkSync(join(root, "b", "file"), join(root, "a"));
    symlinkSync("/nowhere/./x", join(root, "b", "soft"));
    linkSync(join(root, "b", "soft"), join(root, "soft2"));
    chmodSync(join(root, "a"), 0o4751);
    writeFileSync(Buffer.concat([Buffer.from(`${root}/`), Buffer.from([0xff, 0x0a])]), "");
    setEarlyTime(join(root, "b"));
    const entries = await collectEntries(readDirectory(root));
    assert.deepEqual(
      entries.map((entry) => [entry.path, entry.type]),
      [
        ["", "dir"],
        ["a", "file"],
        ["b", "dir"],
        ["b/file", "hardlink"],
        ["b/soft", "symlink"],
        ["soft2", "hardlink"],
        ["\xff\n", "file"],
      ],
    );
    const tree = new LayeredTree();
    tree.applyLayer(entries);
    const rows = new Map(goldenRows(tree.build()).map((row) => [row.path, row]));
    assert.deepEqual([rows.get("a")?.mode, rows.get("a")?.size, rows.get("a")?.nlink], ["4751", 4, 2]);
    assert.equal(rows.get("b/file")?.link, "a");
    assert.deepEqual([rows.get("b/soft")?.target, rows.get("b/soft")?.nlink], ["/nowhere/./x", 2]);
    assert.equal(rows.get("b")?.mtimeNs, "-1500000000");
  });

  it("reads fifos and sockets", async () => {
    execFileSync("mkfifo", [join(root, "fifo")]);
    const server = createServer().listen(join(root, "socket"));
    await new Promise((resolve) => server.once("listening", resolve));
    try {
      const entries = await collectEntries(readDirectory(root));
      assert.deepEqual(
        entries.slice(1).map(({ path, type }) => [path, type]),
        [
          ["fifo", "fifo"],
          ["socket", "socket"],
        ],
      );
    } finally {
      await new Promise((resolve) => server.close(resolve));
    }
  });

  it("reads device numbers", { skip: noRoot }, async () => {
    execFileSync("mknod", [join(root, "char"), "c", "4095", "1048575"]);
    execFileSync("mknod", [join(root, "zero"), "b", "0", "0"]);
    const entries = await collectEntries(readDirectory(root));
    assert.deepEqual(
      entries.slice(1).map((entry) => ("major" in entry ? [entry.type, entry.major, entry.minor] : entry)),
      [
        ["char", 4095, 1_048_575],
        ["block", 0, 0],
      ],
    );
  });

  it("asks for the extended attributes of every inode and keeps those an image can hold", async () => {
    writeFileSync(join(root, "f"), "");
    const dropped: string[] = [];
    const entries = await collectEntries(
      readDirectory(root, {
        readXattrs: (path) => [
          ["user.path", path],
          ["system.other", new Uint8Array(1)],
        ],
        onWarning: ({ name }) => dropped.push(name),
      }),
    );
    assert.deepEqual(
      entries.map(({ xattrs }) => [...xattrs].map(([name, value]) => [name, Buffer.from(value).toString()])),
      [[["user.path", root]], [["user.path", join(root, "f")]]],
    );
    assert.deepEqual(dropped, ["system.other", "system.other"]);
  });

  it("refuses a file that grows while it is read", async () => {
    writeFileSync(join(root, "f"), "short");
    await assert.rejects(
      async () => {
        for await (const { content } of readDirectory(root)) {
          if (content === undefined) continue;
          appendFileSync(join(root, "f"), "more");
          for await (const _ of content);
        }
      },
      (error) => isCoded(error, "ERR_LAYER_INVALID"),
    );
  });

  it("refuses a path that is missing or no directory", async () => {
    writeFileSync(join(root, "f"), "");
    for (const path of [join(root, "missing"), join(root, "f")]) {
      await assert.rejects(collectEntries(readDirectory(path)), (error) =>
        isCoded(error, "ERR_PATH_NOT_FOUND"),
      );
    }
  });

  it("refuses with a code what the system does not let it read", async () => {
    writeFileSync(join(root, "f"), "content");
    await assert.rejects(
      async () => {
        for await (const { content } of readDirectory(root)) {
          if (content === undefined) continue;
          rmSync(join(root, "f"));
          for await (const _ of content);
        }
      },
      (error) => isCoded(error, "ERR_SOURCE_UNAVAILABLE"),
    );
  });
});
