import { execFileSync } from "node:child_process";
import {
  chmodSync,
  chownSync,
  closeSync,
  linkSync,
  lutimesSync,
  mkdirSync,
  openSync,
  readdirSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
  writeSync,
} from "node:fs";
import { join } from "node:path";

const latin1 = (path: string): Buffer => Buffer.from(path, "latin1");

/** Files whose names, owners and times every tar can hold, also those of 1979. */
export function makePlainTree(root: string): void {
  mkdirSync(join(root, "dir", "below"), { recursive: true });
  writeFileSync(join(root, "dir", "file"), "some text\n");
  writeFileSync(join(root, "dir", "below", "blocks"), Buffer.alloc(3 * 512, "block"));
  writeFileSync(join(root, "empty"), "");
  writeFileSync(join(root, "zeros"), Buffer.alloc(100_000));
  writeFileSync(join(root, "large"), Buffer.alloc((1 << 20) + 1, "0123456789abcdef"));
  linkSync(join(root, "dir", "file"), join(root, "a-link"));
  linkSync(join(root, "dir", "file"), join(root, "z-link"));
  symlinkSync("dir/../dir//file", join(root, "soft"));
  symlinkSync("nowhere", join(root, "dangling"));
  chownSync(join(root, "dir", "file"), 1000, 2000);
  chmodSync(join(root, "dir", "file"), 0o4751);
  chmodSync(join(root, "dir", "below"), 0o1777);
  chmodSync(join(root, "dir"), 0o2750);
  setTimes(root, 1_600_000_000);
}

/** What a tar of today can hold beyond {@link makePlainTree}: long and raw names, holes, devices, xattrs. */
export function makeFullTree(root: string): void {
  mkdirSync(root, { recursive: true });
  execFileSync("mknod", [join(root, "null"), "c", "1", "3"]);
  execFileSync("mknod", [join(root, "disk"), "b", "259", "300"]);
  execFileSync("mkfifo", [join(root, "pipe")]);
  const deep = join(root, ...Array.from({ length: 4 }, (_, level) => `${level}`.repeat(200)));
  mkdirSync(deep, { recursive: true });
  writeFileSync(join(deep, "n".repeat(255)), "a long name, far down");
  linkSync(join(deep, "n".repeat(255)), join(root, "to-the-deep"));
  symlinkSync("t/".repeat(1500), join(root, "far"));
  linkSync(join(root, "far"), join(root, "far-too"));
  writeFileSync(latin1(`${root}/raw-\xff\xfe\n${"\xe9".repeat(240)}`), "not UTF-8");
  writeFileSync(join(root, "ids"), "ids beyond ustar");
  chownSync(join(root, "ids"), 2 ** 31, 2 ** 32 - 2);
  makeSparseFiles(root);
  writeFileSync(join(root, "with-xattrs"), "has some");
  makePlainTree(join(root, "plain"));
  setTimes(root, 1_700_000_000.125);
}

/** Extended attributes, with every byte that text forms of tar trip over. */
export function addXattrs(root: string): void {
  const set = (path: string, name: string, hex: string): void => {
    execFileSync("setfattr", ["-h", "-n", name, "-v", `0x${hex}`, join(root, path)]);
  };
  set("with-xattrs", "user.binary", "00ff0a3d0a00");
  set("with-xattrs", "user.lines", Buffer.from("a\nb=c\n12 d=e\n").toString("hex"));
  set("with-xattrs", "user.empty", "");
  set("with-xattrs", "security.capability", "0100000200200000000000000000000000000000");
  set("plain/dir", "trusted.some", "74");
  set("far", "trusted.link", "6c");
}

/** 60 runs, more than one extension header of the old GNU format holds, with a hole at the end; and only holes. */
function makeSparseFiles(root: string): void {
  const path = join(root, "holes");
  const file = openSync(path, "w");
  for (let run = 0; run < 60; run++)
    writeSync(file, Buffer.alloc(4096, run + 1), 0, 4096, run * 65536 + 32768);
  closeSync(file);
  truncateSync(path, 60 * 65536 + 1234);
  writeFileSync(join(root, "only-holes"), "");
  truncateSync(join(root, "only-holes"), 300_000);
}

/** Sets all times below a directory, from the bottom up. */
function setTimes(directory: string | Buffer, seconds: number): void {
  for (const name of readdirSync(directory, { withFileTypes: true, encoding: "buffer" })) {
    const path = Buffer.concat([Buffer.from(directory), Buffer.from("/"), name.name]);
    if (name.isDirectory()) setTimes(path, seconds);
    else lutimesSync(path, seconds, seconds);
  }
  lutimesSync(directory, seconds, seconds);
}
