// Compares two directory trees in every path, attribute and byte. Needs the build with its addon (xattrs), and root for a full answer.
// Usage: node scripts/compare-trees.mjs EXPECTED FOUND [--seconds]
//   --seconds   mtimes are compared in whole seconds (the source was unpacked by a tool that keeps no more)
// Prints one line per difference (at most 50) and a summary; exits 1 when there is any.
import { createHash } from "node:crypto";
import { closeSync, lstatSync, openSync, readdirSync, readlinkSync, readSync } from "node:fs";
import { requireAddon } from "../dist/native/addon.js";

const [expected, found] = process.argv.slice(2);
const inSeconds = process.argv.includes("--seconds");
const addon = requireAddon("comparing extended attributes");
const buffer = Buffer.allocUnsafe(2 ** 20);

function contentsOf(path) {
  const digest = createHash("sha256");
  const file = openSync(path, "r");
  try {
    for (let read = readSync(file, buffer); read > 0; read = readSync(file, buffer))
      digest.update(buffer.subarray(0, read));
  } finally {
    closeSync(file);
  }
  return digest.digest("hex");
}

function xattrNamesOf(path) {
  try {
    return addon.llistxattr(path);
  } catch (error) {
    // A filesystem may say that it has none at all.
    if (error.code === "ENOTSUP") return [];
    throw error;
  }
}

function xattrsOf(path) {
  const names = xattrNamesOf(path).map((name) => Buffer.from(name).toString("latin1"));
  const hexOf = (name) => Buffer.from(addon.lgetxattr(path, Buffer.from(name, "latin1"))).toString("hex");
  return names
    .sort()
    .map((name) => `${name}=${hexOf(name)}`)
    .join(" ");
}

/** Everything of one path that must agree; `links` gives hard links the first path of their inode. */
function rowOf(path, relative, links) {
  const stat = lstatSync(path, { bigint: true });
  const row = {
    mode: stat.mode.toString(8),
    uid: String(stat.uid),
    gid: String(stat.gid),
    mtime: String(inSeconds ? stat.mtimeNs / 1000000000n : stat.mtimeNs),
    xattrs: xattrsOf(path),
  };
  if (stat.isDirectory()) return { row, isDirectory: true };
  row.nlink = String(stat.nlink);
  if (stat.nlink > 1n) {
    if (!links.has(stat.ino)) links.set(stat.ino, relative);
    row.link = links.get(stat.ino);
  }
  if (stat.isSymbolicLink()) row.target = readlinkSync(path, { encoding: "latin1" });
  else if (stat.isFile()) Object.assign(row, { size: String(stat.size), sha256: contentsOf(path) });
  else row.rdev = String(stat.rdev);
  return { row, isDirectory: false };
}

const join = (directory, name) => Buffer.concat([directory, Buffer.from("/"), name]);
const namesOf = (path) => readdirSync(path, { encoding: "buffer" }).sort(Buffer.compare);
let paths = 0;
let differences = 0;

function report(relative, what) {
  if (++differences <= 50) console.log(`${relative}: ${what}`);
}

const expectedLinks = new Map();
const foundLinks = new Map();

function compare(left, right, relative) {
  paths++;
  const one = rowOf(left, relative, expectedLinks);
  const other = rowOf(right, relative, foundLinks);
  for (const key of new Set([...Object.keys(one.row), ...Object.keys(other.row)])) {
    if (one.row[key] !== other.row[key])
      report(relative, `${key} is ${other.row[key]}, expected ${one.row[key]}`);
  }
  if (!one.isDirectory || !other.isDirectory) return;
  const names = namesOf(left);
  const others = new Set(namesOf(right).map((name) => name.toString("latin1")));
  for (const name of names) {
    const text = name.toString("latin1");
    if (others.delete(text)) compare(join(left, name), join(right, name), `${relative}/${text}`);
    else report(`${relative}/${text}`, "is missing");
  }
  for (const text of others) report(`${relative}/${text}`, "is not expected");
}

compare(Buffer.from(expected), Buffer.from(found), ".");
console.log(`${paths} paths compared, ${differences} differences`);
process.exitCode = differences > 0 ? 1 : 0;
