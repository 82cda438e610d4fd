/**
 * A program: reads a large file of a golden image at random places through a mount, compares with the whole file, whose
 * sha256 it checks, and prints how many reads were wrong. Arguments: mountpoint, seed, reads, sha256.
 */
import { createHash } from "node:crypto";
import { closeSync, openSync, readFileSync, readSync } from "node:fs";
import { join } from "node:path";

const [mountpoint = "", seed = "", rounds = "", sha256 = ""] = process.argv.slice(2);
const path = join(mountpoint, "sizes/f3145745");
const SIZE = 3_145_745;
const fd = openSync(path, "r");
const reads: { readonly at: number; readonly bytes: Buffer }[] = [];
let state = Number(seed) || 1;
const random = (limit: number): number => {
  state = (state * 48_271) % 2_147_483_647;
  return state % limit;
};
for (let round = 0; round < Number(rounds); round++) {
  const at = random(SIZE);
  const bytes = Buffer.alloc(1 + random(round % 2 === 0 ? 4096 : 100_000));
  reads.push({ at, bytes: bytes.subarray(0, readSync(fd, bytes, 0, bytes.length, at)) });
}
closeSync(fd);
const whole = readFileSync(path);
if (createHash("sha256").update(whole).digest("hex") !== sha256) throw new Error("the whole file is wrong");
const wrong = reads.filter(
  ({ at, bytes }) => bytes.length === 0 || !bytes.equals(whole.subarray(at, at + bytes.length)),
);
process.stdout.write(`${reads.length} reads, ${wrong.length} wrong\n`);
