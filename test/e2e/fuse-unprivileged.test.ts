import assert from "node:assert/strict";
import { execFile, execFileSync } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, it } from "node:test";
import { promisify } from "node:util";
import { addon } from "#src/native/addon.js";
import { fixturePath, readJsonLines } from "../support/fixtures.ts";
import { skipFuse } from "../support/mounted-image.ts";
import { recordedTimes } from "../support/recorded-times.ts";

const RUN = "v6-zstd-blake3";
const execute = promisify(execFile);
const skip = skipFuse || reasonAgainst();

function reasonAgainst(): string | false {
  if (addon() === undefined) return "fusermount3 passes a descriptor, which needs the native addon";
  try {
    execFileSync("sh", ["-c", "command -v fusermount3 unshare setpriv mkfifo && unshare -m true"]);
    return false;
  } catch {
    return "needs fusermount3, unshare -m and setpriv";
  }
}

/** Runs unprivileged.sh in a mount namespace of its own. */
async function runUnprivileged(folder: string, mode: string): Promise<void> {
  const script = fixturePath("..", "test", "support", "unprivileged.sh");
  const programs = ["list-tree.js", "mount-golden.js"].map((name) =>
    join(import.meta.dirname, "../support", name),
  );
  await execute("unshare", ["-m", "sh", script, folder, RUN, ...programs, mode], { timeout: 60_000 });
}

describe("a mount by a user other than root", { skip }, () => {
  for (const mode of ["idle", "busy"]) {
    it(`goes through fusermount3, shows every field, and ends while ${mode}`, async () => {
      const folder = mkdtempSync(join(tmpdir(), "nydus-user-"));
      try {
        await runUnprivileged(folder, mode);
        const read = (name: string): string => readFileSync(join(folder, name), "utf8");
        assert.equal(read("out"), "mounted\nclosed\n");
        assert.match(read("mountinfo"), / ro,nosuid,nodev,.* - fuse\.nydus nydus-test ro,user_id=65534,/);
        const shown = read("rows")
          .split("\n")
          .filter((line) => line !== "");
        const rows = new Map(
          shown.map((line) => JSON.parse(line) as { path: string }).map((row) => [row.path, row]),
        );
        let compared = 0;
        for (const expected of recordedTimes(readJsonLines("golden", "made", RUN, "nydusd.jsonl"))) {
          const row = rows.get(expected.path);
          // Files and directories that only their owner may read stay closed to the user: the kernel checks modes.
          if (row === undefined || "error" in row) continue;
          compared++;
          const { ino: _ino, blocks: _blocks, bytes: _bytes, ...rest } = row as Record<string, unknown>;
          assert.deepEqual(rest, expected);
        }
        assert.ok(compared > 500, `${compared} rows of ${rows.size}`);
      } finally {
        if (existsSync(folder)) rmSync(folder, { recursive: true });
      }
    });
  }
});
