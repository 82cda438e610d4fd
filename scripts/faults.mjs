// The rows of scripts/faults. A row gets a mounted image, a load that compares what it reads, and says what it did.
// Whatever it does, no read may give a wrong byte or hang; where `allows` is set, reads may fail meanwhile.
import { mkdtemp, readdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { startInFlightRead } from "../.build/test/support/in-flight-read.js";
import { NodeDaemon } from "../.build/test/support/node-daemon.js";
import { convertTree, writeRandomTree } from "../.build/test/support/random-tree.js";
import { TestRegistry } from "../.build/test/support/registry.js";
import { VerifiedLoad } from "../.build/test/support/verified-load.js";
import { dropCaches } from "./benchmarks/support.mjs";

const [first = "", ...parts] = process.argv.slice(2);
const kills = /^\d+$/.test(first) ? Number(first) : 100;
const wanted = /^\d*$/.test(first) ? parts : [first, ...parts];

/** A read that takes longer than this hangs: readDeadline and takeoverDeadline are both shorter. */
const HANG_MS = 30_000;
const FILES = 48;

const folder = await mkdtemp(join(process.env.FAULTS_DIR ?? tmpdir(), "nydus-faults-"));
const original = join(folder, "original");
const names = writeRandomTree(original, FILES, 2_500_000);
// The load reads the first files. Reads of bytes that nobody has asked for before are of others, farther from it and
// from each other than is ever read ahead.
const loaded = names.slice(0, 8);
const untouched = names.filter((_, index) => index > 12 && index % 5 === 0);
const registry = await TestRegistry.start();
const image = `${registry.host}/faults:nydus`;
await convertTree(original, image);

function check(isGood, what) {
  if (!isGood) throw new Error(what);
}

/** Does something to the daemon with a read of uncached bytes in flight, again and again over emptied caches. */
async function withReadsInFlight(node, times, disturb) {
  let mountpoint;
  for (let done = 0; done < times; done++) {
    const name = untouched[done % untouched.length];
    if (done % untouched.length === 0) {
      if (mountpoint !== undefined) await node.unmount(mountpoint);
      await rm(node.cache, { recursive: true, force: true });
      // The mount of the load keeps the blob open; a new process opens new files.
      await node.successorOf(await node.killDaemon());
      ({ mountpoint } = await node.mount({ image, engine: done % 2 === 0 ? "auto" : "fuse" }));
    }
    const read = await startInFlightRead(registry, mountpoint, original, name);
    await disturb(read);
    check(!read.isOver(), `${name} was read before the registry gave its bytes`);
    read.release();
    const { status, stderr, isRight } = await read.ended;
    check(status === 0 && isRight, `${name} ended with ${status}, right: ${isRight}, ${stderr}`);
  }
  await node.unmount(mountpoint);
  return `${times} times`;
}

async function withFault(faults, times = 5) {
  for (let round = 0; round < times; round++) {
    Object.assign(registry.faults, faults());
    dropCaches();
    await delay(1000);
    registry.reset();
    await delay(500);
  }
  return `${times} times`;
}

const rows = [
  {
    name: "kill -9 of the daemon, a READ in flight",
    run: ({ node }) =>
      withReadsInFlight(node, kills, async () => {
        await node.successorOf(await node.killDaemon());
      }),
  },
  {
    name: "upgrade, a READ in flight",
    run: ({ node }) =>
      withReadsInFlight(node, Math.ceil(kills / 2), async (read) => {
        const pid = await node.daemonPid();
        process.kill(node.supervisorPid, "SIGUSR2");
        // The old process finishes what it took before it leaves.
        await delay(400);
        check(!read.isOver(), "the read ended by itself");
        read.release();
        await read.ended;
        await node.successorOf(pid);
        read.isOver = () => false;
      }),
  },
  {
    name: "kill -9 of the supervisor",
    allows: "errors",
    async run({ node, mountpoint }) {
      for (let round = 0; round < 5; round++) {
        await node.stop("SIGKILL");
        await delay(200);
        await node.start();
        await node.until(async () => node.mountTable().some((row) => row.includes(` ${mountpoint} `)));
        await delay(500);
      }
      return "5 times";
    },
  },
  {
    name: "kill -9 of both",
    allows: "errors",
    async run({ node }) {
      for (let round = 0; round < 5; round++) {
        await node.killDaemon();
        await node.stop("SIGKILL");
        await node.start();
        await delay(500);
      }
      return "5 times";
    },
  },
  {
    name: "SIGSTOP of the daemon for 10 s",
    async run({ node }) {
      const pid = await node.daemonPid();
      process.kill(pid, "SIGSTOP");
      dropCaches();
      await delay(10_000);
      process.kill(pid, "SIGCONT");
      await delay(1000);
      check((await node.daemonPid()) === pid, "the daemon was replaced");
      return "10 s";
    },
  },
  {
    name: "50 mounts at once, unmounted while they are read",
    async run({ node }) {
      const places = Array.from({ length: 50 }, () => node.newMountpoint());
      const engine = (index) => (index % 2 === 0 ? "erofs" : "fuse");
      await Promise.all(places.map((place, index) => node.mount({ image, engine: engine(index) }, place)));
      const loads = await Promise.all(
        places.slice(0, 4).map((place) => VerifiedLoad.start(place, original, 2)),
      );
      await delay(1000);
      await Promise.all(places.map((place) => node.unmount(place)));
      const counts = await Promise.all(loads.map((load) => load.stop()));
      check(
        counts.every(({ wrong }) => wrong === 0),
        "wrong bytes while it was unmounted",
      );
      check(
        counts.every(({ longestMs }) => longestMs < HANG_MS),
        "a read hung while it was unmounted",
      );
      return "50 mounts";
    },
  },
  { name: "registry answers 503", run: () => withFault(() => ({ failNext: Array(3).fill(503) })) },
  {
    name: "registry answers 429",
    run: () => withFault(() => ({ failNext: Array(3).fill(429), retryAfter: "0" })),
  },
  {
    name: "registry answers 404",
    allows: "errors",
    run: () => withFault(() => ({ failNext: Array(50).fill(404) })),
  },
  { name: "registry resets connections", run: () => withFault(() => ({ dropAfter: 1000, dropTimes: 2 })) },
  {
    name: "registry sends wrong bytes",
    allows: "errors",
    run: () => withFault(() => ({ wrongBytes: true })),
  },
];

async function runRow({ name, allows, run }) {
  const node = new NodeDaemon();
  try {
    await node.start();
    const { mountpoint } = await node.mount({ image, engine: "auto" });
    const load = await VerifiedLoad.start(mountpoint, original, 8, loaded);
    const dropping = setInterval(dropCaches, 2000);
    const start = performance.now();
    let did;
    let failure;
    try {
      did = await run({ node, mountpoint });
    } catch (error) {
      failure = error.message;
    }
    clearInterval(dropping);
    registry.reset();
    const { reads, errors, wrong, longestMs } = await load.stop();
    const failed = Object.values(errors).reduce((sum, count) => sum + count, 0);
    if (wrong > 0) failure ??= `${wrong} reads gave wrong bytes`;
    if (longestMs > HANG_MS) failure ??= `a read took ${longestMs} ms`;
    if (failed > 0 && allows !== "errors") failure ??= `reads failed: ${JSON.stringify(errors)}`;
    const seconds = Math.round((performance.now() - start) / 1000);
    return { name, did: did ?? "", seconds, reads, errors: failed, wrong, longestMs, failure };
  } finally {
    if (process.env.FAULTS_LOG !== undefined) console.error(node.log);
    await node[Symbol.asyncDispose]();
  }
}

let failures = 0;
console.log("| row | did | s | reads | errors | wrong | slowest ms | |");
console.log("|---|---|---|---|---|---|---|---|");
for (const row of rows.filter(
  ({ name }) => wanted.length === 0 || wanted.some((part) => name.includes(part)),
)) {
  const { name, did, seconds, reads, errors, wrong, longestMs, failure } = await runRow(row);
  if (failure !== undefined) failures++;
  console.log(
    `| ${name} | ${did} | ${seconds} | ${reads} | ${errors} | ${wrong} | ${longestMs} | ${failure ?? "ok"} |`,
  );
}
await registry[Symbol.asyncDispose]();
check((await readdir(folder)).length === 1, `something was left in ${folder}`);
await rm(folder, { recursive: true });
process.exitCode = failures > 0 ? 1 : 0;
