import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { closeSync, mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { describe, it } from "node:test";
import type { SessionCounts } from "#src/mount/fuse-session.js";
import { unmountImage } from "#src/mount/node-engines.js";
import type { SessionRecord } from "#src/mount/session-record.js";
import { addon } from "#src/native/addon.js";
import { mountFuseDevice } from "#src/native/fuse-device.js";
import { readJsonLines } from "../support/fixtures.ts";
import type { Fault } from "../support/golden-cache.ts";
import { shell, skipFuse } from "../support/mounted-image.ts";
import { recordedTimes } from "../support/recorded-times.ts";

const skip = skipFuse || (addon() === undefined ? "the node's mount needs the native addon" : false);
const RUNS = ["v6-zstd-blake3", "v6-none-blake3"];
const ENGINES = ["erofs", "fuse"];
const LARGE = "sizes/f3145745";
const SUPPORT = join(import.meta.dirname, "../support");

function expectedSum(run: string): string {
  const rows = recordedTimes(readJsonLines("golden", "made", run, "nydusd.jsonl"));
  return rows.find((row) => row.path === LARGE)?.sha256 ?? "";
}

async function readLarge(mountpoint: string, run: string) {
  const { stdout, stderr } = await shell(`sha256sum ${mountpoint}/${LARGE}`);
  return { sum: stdout.slice(0, 64), stderr, expected: expectedSum(run) };
}

/** A node's connection that this process keeps, and processes that serve it one after the other. */
class Connection implements AsyncDisposable {
  readonly folder = mkdtempSync(join(tmpdir(), "nydus-over-"));
  readonly #directory = join(this.folder, "n");
  #fd = -1;
  session: SessionRecord | undefined;

  static async open(): Promise<Connection> {
    const connection = new Connection();
    const mountpoints = RUNS.flatMap((_, index) => ENGINES.map((engine) => `${engine}-${index + 1}`));
    for (const name of ["n", ...mountpoints]) mkdirSync(join(connection.folder, name));
    connection.#fd = await mountFuseDevice(connection.#directory);
    return connection;
  }

  /** Starts the next process; resolves when it serves. */
  async serve(fault: Fault): Promise<Server> {
    const session = this.session === undefined ? "-" : JSON.stringify(this.session);
    const args = [join(SUPPORT, "serve-node.js"), this.#directory, this.folder, fault, session, ...RUNS];
    const child = spawn(process.execPath, args, { stdio: ["pipe", "pipe", "inherit", this.#fd] });
    const server = new Server(child);
    this.session = (await server.line()) as SessionRecord;
    return server;
  }

  mountpoint(engine: string, number: number): string {
    return join(this.folder, `${engine}-${number}`);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const engine of ENGINES) {
      for (const index of RUNS.keys()) await unmountImage(this.mountpoint(engine, index + 1));
    }
    await unmountImage(this.#directory);
    closeSync(this.#fd);
    rmSync(this.folder, { recursive: true });
  }
}

class Server implements AsyncDisposable {
  readonly #child: ChildProcess;
  readonly #lines: AsyncIterator<string>;

  constructor(child: ChildProcess) {
    this.#child = child;
    if (child.stdout === null) throw new Error("no stdout");
    this.#lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  }

  async line(): Promise<unknown> {
    const { value, done } = await this.#lines.next();
    if (done === true) throw new Error("the server died");
    return JSON.parse(value);
  }

  async ask(command: "counts" | "leave"): Promise<SessionCounts> {
    this.#child.stdin?.write(`${command}\n`);
    return (await this.line()) as SessionCounts;
  }

  async kill(): Promise<void> {
    const exit = once(this.#child, "exit");
    this.#child.kill("SIGKILL");
    await exit;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#child.exitCode === null && this.#child.signalCode === null) await this.kill();
  }
}

const pause = (milliseconds: number): Promise<void> => new Promise((done) => setTimeout(done, milliseconds));

describe("a successor of a node's process", { skip }, () => {
  it("answers what its killed predecessor had taken: no reader fails, no byte is wrong", async (context) => {
    await using connection = await Connection.open();
    await using first = await connection.serve("hang");
    if (connection.session?.canResend !== true) return context.skip("this kernel has no FUSE_NOTIFY_RESEND");
    const readers: Promise<{ sum: string; stderr: string; expected: string }>[] = [];
    for (const engine of ENGINES) {
      for (const [index, run] of RUNS.entries()) {
        const { misses } = await first.ask("counts");
        readers.push(readLarge(connection.mountpoint(engine, index + 1), run));
        // It has a READ in flight, of bytes that no cache holds, before the next starts.
        while ((await first.ask("counts")).misses === misses) await pause(10);
        await pause(100);
      }
    }
    await first.kill();
    await using second = await connection.serve("none");
    for (const { sum, stderr, expected } of await Promise.all(readers)) {
      assert.deepEqual({ sum, stderr }, { sum: expected, stderr: "" });
    }
    const { resent } = await second.ask("counts");
    assert.ok(resent >= readers.length, `${resent} requests came again`);
  });

  it("loses no request when predecessors leave under load", async () => {
    await using connection = await Connection.open();
    let server = await connection.serve("none");
    const program = join(SUPPORT, "read-at-random.js");
    const [run = ""] = RUNS;
    // Pages are dropped all the while, or the kernel would ask once only.
    const dropping = spawn("sh", ["-c", "while echo 1 > /proc/sys/vm/drop_caches; do sleep 0.2; done"]);
    const readers = ENGINES.map((engine) =>
      shell(`${process.execPath} ${program} ${connection.mountpoint(engine, 1)} 7 400 ${expectedSum(run)}`),
    );
    // A blob is read directly: one request for every 4 KiB.
    const blob = `dd if=${connection.folder}/n/1/0 bs=4096 count=1000 status=none | sha256sum`;
    const sums = shell(`for i in 1 2; do ${blob}; done | sort | uniq -c`);
    let isReading = true;
    const reading = Promise.all([...readers, sums]).finally(() => {
      isReading = false;
    });
    let requests = 0;
    let upgrades = 0;
    for (; isReading || upgrades < 3; upgrades++) {
      requests += (await server.ask("leave")).requests;
      server = await connection.serve("none");
      await pause(300);
    }
    dropping.kill();
    await reading;
    for (const { stdout, stderr } of await Promise.all(readers)) {
      assert.deepEqual({ stdout, stderr }, { stdout: "400 reads, 0 wrong\n", stderr: "" });
    }
    const { stdout, stderr } = await sums;
    assert.equal(stderr, "");
    assert.match(stdout, /^ +2 [0-9a-f]{64} +-\n$/);
    assert.ok(requests > 100, `${requests} requests over ${upgrades} upgrades`);
    await server[Symbol.asyncDispose]();
  });
});
