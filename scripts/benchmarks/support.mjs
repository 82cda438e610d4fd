// What every benchmark shares: timed commands, programs that may be missing, figures and their table.
import { execFileSync, spawn, spawnSync } from "node:child_process";
import { mkdirSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { cpus } from "node:os";
import { dirname, join, resolve } from "node:path";

export const ROOT = resolve(import.meta.dirname, "../..");
export const CONVERT = [process.execPath, join(ROOT, "dist/cli/nydus-convert.js")];
export const MOUNT = [process.execPath, join(ROOT, "dist/cli/nydus-mount.js")];

/** True when a program is on PATH. */
export function has(program) {
  return spawnSync("sh", ["-c", `command -v ${program}`]).status === 0;
}

/** Runs a command to its end; throws with what it printed when it fails. Gives its cost. */
export function timed(command, options = {}) {
  const child = spawnSync("python3", [join(import.meta.dirname, "rusage.py"), ...command], {
    stdio: ["ignore", options.stdout ?? "pipe", "pipe", "pipe"],
    maxBuffer: 2 ** 28,
    ...options.spawn,
  });
  const cost = JSON.parse(child.output[3]?.toString() || "{}");
  if (cost.status !== 0) {
    throw new Error(`${command.join(" ")} ended with ${cost.status}: ${child.stderr}`);
  }
  return { ...cost, stdout: child.stdout?.toString() ?? "" };
}

/** Forgets the page cache, so that the next read comes from the disk or the daemon. */
export function dropCaches() {
  execFileSync("sync");
  writeFileSync("/proc/sys/vm/drop_caches", "3");
}

/** Starts Debian's docker-registry over a directory, on a free port or a given one; gives host:port and a way to stop it. */
export async function startRegistry(directory, wantedPort) {
  mkdirSync(join(directory, "store"), { recursive: true });
  const port = wantedPort ?? (await freePort());
  writeFileSync(
    join(directory, "config.yml"),
    `version: 0.1
log: { accesslog: { disabled: true }, level: error }
storage: { filesystem: { rootdirectory: ${directory}/store }, delete: { enabled: true } }
http: { addr: 127.0.0.1:${port} }
`,
  );
  const child = spawn("docker-registry", ["serve", join(directory, "config.yml")], { stdio: "ignore" });
  const host = `127.0.0.1:${port}`;
  for (let tries = 0; ; tries++) {
    try {
      await fetch(`http://${host}/v2/`);
      break;
    } catch (error) {
      if (tries === 100) throw error;
      await new Promise((resume) => setTimeout(resume, 50));
    }
  }
  return { host, stop: () => child.kill() };
}

function freePort() {
  return new Promise((resume) => {
    const server = createServer().listen(0, "127.0.0.1", () => {
      const { port } = server.address();
      server.close(() => resume(port));
    });
  });
}

/** The big real image: NYDUS_BENCH_IMAGE (an OCI layout with the tag "debian"), or one made once under .build/bench. */
export function debianLayout() {
  const given = process.env.NYDUS_BENCH_IMAGE;
  if (given !== undefined) return given;
  const layout = join(ROOT, ".build/bench/debian");
  const made = spawnSync("test", ["-e", `${layout}.rootfs`]).status === 0;
  if (!made) {
    mkdirSync(dirname(layout), { recursive: true });
    console.error("making the image of about 1.9 GB, once: some minutes");
    execFileSync(join(ROOT, "scripts/make-debian-image"), [layout], { stdio: ["ignore", 2, 2] });
  }
  return layout;
}

/** Collects figures, prints them as they come with --json, and as a table with ratios at the end otherwise. */
export class Figures {
  #bench;
  #json;
  #rows = [];

  constructor(bench, json) {
    this.#bench = bench;
    this.#json = json;
  }

  add(name, subject, metric, unit, value) {
    const row = { bench: this.#bench, case: name, subject, metric, unit, value };
    this.#rows.push(row);
    if (this.#json) console.log(JSON.stringify(row));
  }

  /** Adds wall time, CPU time and peak memory of a timed command. */
  addCost(name, subject, cost) {
    this.add(name, subject, "wall", "s", cost.wallSeconds);
    this.add(name, subject, "cpu", "s", cost.cpuSeconds);
    this.add(name, subject, "peak memory", "MiB", cost.peakBytes / 2 ** 20);
  }

  print() {
    if (this.#json) return;
    console.log(`\n${this.#bench} on ${cpus().length} x ${cpus()[0]?.model ?? "?"}, Node ${process.version}`);
    const groups = Map.groupBy?.(this.#rows, keyOf) ?? groupBy(this.#rows, keyOf);
    for (const rows of groups.values()) {
      const ours = median(rows.filter((row) => row.subject === "ours"));
      for (const subject of new Set(rows.map((row) => row.subject))) {
        const value = median(rows.filter((row) => row.subject === subject));
        const ratio =
          subject === "ours" || ours === undefined ? "" : `  ours / ${subject}: ${(ours / value).toFixed(2)}`;
        const { case: name, metric, unit } = rows[0];
        console.log(
          `${name.padEnd(34)} ${metric.padEnd(12)} ${subject.padEnd(24)} ${value.toFixed(2).padStart(10)} ${unit}${ratio}`,
        );
      }
    }
  }
}

const keyOf = (row) => `${row.case}\0${row.metric}`;

function groupBy(rows, key) {
  const groups = new Map();
  for (const row of rows) groups.set(key(row), [...(groups.get(key(row)) ?? []), row]);
  return groups;
}

function median(rows) {
  const values = rows.map((row) => row.value).sort((left, right) => left - right);
  return values.length === 0 ? undefined : values[Math.floor(values.length / 2)];
}
