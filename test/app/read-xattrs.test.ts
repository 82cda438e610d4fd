import assert from "node:assert/strict";
import { symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, it } from "node:test";
import { xattrReader } from "#src/app/read-xattrs.js";
import { bytesOf } from "#src/base/bytes.js";
import { addon } from "#src/native/addon.js";
import { temporaryDirectory } from "../support/temporary-directory.ts";

const native = addon();
const skip = native === undefined ? "the native addon is not built" : false;
const skipRoot = skip || (process.getuid?.() !== 0 ? "trusted xattrs need root" : false);

/** Sets xattrs, and gives what the reader finds, in the order of the names. */
function roundTrip(
  path: string,
  xattrs: Readonly<Record<string, Uint8Array>>,
): (readonly [string, Buffer])[] {
  for (const [name, value] of Object.entries(xattrs)) native?.lsetxattr(path, bytesOf(name), value);
  const found = [...(xattrReader()?.(Buffer.from(path)) ?? [])].filter(
    ([name]) => !name.startsWith("security."),
  );
  return found.map(([name, value]) => [name, Buffer.from(value)] as const).sort();
}

describe("xattrReader()", { skip }, () => {
  it("gives names and values as bytes, empty ones too", async () => {
    await using directory = await temporaryDirectory();
    const path = join(directory.path, "file");
    writeFileSync(path, "");
    const xattrs = { "user.\xff\xfe": Buffer.from([0, 10, 255]), "user.empty": Buffer.alloc(0) };
    assert.deepEqual(roundTrip(path, xattrs), Object.entries(xattrs).sort());
  });

  it("gives nothing for a file without any", async () => {
    await using directory = await temporaryDirectory();
    const path = join(directory.path, "file");
    writeFileSync(path, "");
    assert.deepEqual(roundTrip(path, {}), []);
  });

  it("reads those of a symbolic link, not of what it points to", { skip: skipRoot }, async () => {
    await using directory = await temporaryDirectory();
    const target = join(directory.path, "target");
    writeFileSync(target, "");
    roundTrip(target, { "user.of-target": Buffer.from("x") });
    const path = join(directory.path, "link");
    symlinkSync("target", path);
    const xattrs = { "trusted.of-link": Buffer.from("y") };
    assert.deepEqual(roundTrip(path, xattrs), Object.entries(xattrs));
  });
});
