// The runs of scripts/soak. Every run throws for a failure and returns what it counted.
import { execFileSync, spawn } from "node:child_process";
import { randomBytes } from "node:crypto";
import {
  link,
  mkdir,
  mkdtemp,
  open,
  opendir,
  readdir,
  readFile,
  rm,
  stat,
  writeFile,
} from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { CONVERT, dropCaches, MOUNT, startRegistry } from "./benchmarks/support.mjs";

const seconds = Number(process.argv[2] ?? 20);
const NAMES = 20_000;
const folder = await mkdtemp(join(process.env.SOAK_DIR ?? tmpdir(), "nydus-soak-"));
const source = join(folder, "source");
const at = (name) => join(folder, name);

function check(isGood, what) {
  if (!isGood) throw new Error(what);
}

/** A number below `limit` from a fixed sequence, so that a failure can be had again. */
let state = Number(process.env.SOAK_SEED ?? 1);
function draw(limit) {
  state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
  return Math.floor((state / 2 ** 32) * limit);
}

async function makeSource() {
  for (let directory = 0; directory < 20; directory++) {
    await mkdir(join(source, `d${directory}`), { recursive: true });
    for (let file = 0; file < 50; file++) {
      const size = [0, 1, 4095, 4096, 4097, 70_000, 300_000][draw(7)];
      await writeFile(join(source, `d${directory}`, `f${file}`), randomBytes(size));
    }
  }
  for (const [index, size] of [5 << 20, (9 << 20) + 1, (16 << 20) - 3].entries()) {
    await writeFile(join(source, `big${index}`), randomBytes(size));
  }
  await link(join(source, "big0"), join(source, "d0", "hard"));
  await mkdir(join(source, "many"));
  for (let name = 0; name < NAMES; name++) await writeFile(join(source, "many", `name-${name}`), "");
}

async function listFiles() {
  const names = await readdir(source, { recursive: true });
  const files = [];
  for (const path of names.filter((name) => !name.startsWith("many"))) {
    const { size, isFile } = await stat(join(source, path)).then((found) => ({
      size: found.size,
      isFile: found.isFile(),
    }));
    if (isFile) files.push({ path, size });
  }
  return files;
}

/** Starts a program; gives its end. */
function start([program, ...fixed], args) {
  const child = spawn(program, [...fixed, ...args], { stdio: ["ignore", "pipe", "pipe"] });
  let text = "";
  child.stdout.on("data", (part) => (text += part));
  child.stderr.on("data", (part) => (text += part));
  const ended = new Promise((resume) =>
    child.on("close", (status, signal) => resume({ status, signal, text })),
  );
  return { child, ended };
}

async function convert(from, to) {
  const { status, text } = await start(CONVERT, [from, to, "--quiet"]).ended;
  check(status === 0, `converting ended with ${status}: ${text}`);
  return text.trim();
}

async function mount(image, mountpoint, cache, engine = "auto") {
  await mkdir(mountpoint, { recursive: true });
  const server = start(MOUNT, [image, mountpoint, "--cache-dir", cache, "--engine", engine]);
  for (let tries = 0; ; tries++) {
    if ((await readFile("/proc/mounts", "utf8")).includes(` ${mountpoint} `)) return server;
    if (tries === 200 || server.child.exitCode !== null) throw new Error((await server.ended).text);
    await delay(50);
  }
}

async function stop({ child, ended }) {
  child.kill("SIGINT");
  const { status, text } = await ended;
  check(status === 0, `nydus-mount ended with ${status}: ${text}`);
}

async function readPart(path, offset, length) {
  const file = await open(path, "r");
  try {
    const { buffer, bytesRead } = await file.read(Buffer.alloc(length), 0, length, offset);
    return buffer.subarray(0, bytesRead);
  } finally {
    await file.close();
  }
}

async function compareAll(files, mountpoint) {
  for (const { path } of files) {
    const [found, wanted] = await Promise.all([mountpoint, source].map((root) => readFile(join(root, path))));
    check(found.equals(wanted), `${path} is not the same at ${mountpoint}`);
  }
}

async function readersOverDyingRegistry(files) {
  let registry = await startRegistry(at("registry"));
  await convert(`dir:${source}`, `${registry.host}/soak:nydus`);
  const server = await mount(`${registry.host}/soak:nydus`, at("mnt"), at("cache-readers"), "fuse");
  const end = Date.now() + seconds * 1000;
  const counts = { reads: 0, errors: 0 };
  const reader = async () => {
    while (Date.now() < end) {
      const { path, size } = files[draw(files.length)];
      const [offset, length] = [draw(size + 1), [1, 100, 4096, 65_536, 2 ** 20][draw(5)]];
      const wanted = await readPart(join(source, path), offset, length);
      counts.reads++;
      const found = await readPart(at(`mnt/${path}`), offset, length).catch((error) => {
        check(error.code === "EIO", `${path}: ${error.message}`);
        counts.errors++;
      });
      check(found === undefined || found.equals(wanted), `${path} at ${offset} has wrong bytes`);
    }
  };
  const disturber = async () => {
    while (Date.now() < end) {
      await delay(1000);
      dropCaches();
      registry.stop();
      await delay(500);
      const { port } = new URL(`http://${registry.host}`);
      registry = await startRegistry(at("registry"), Number(port));
    }
  };
  await Promise.all([disturber(), ...Array.from({ length: 40 }, reader)]);
  await compareAll(files, at("mnt"));
  await stop(server);
  registry.stop();
  return `${counts.reads} reads, ${counts.errors} with EIO`;
}

async function killsWhileFilling(files, image) {
  const end = Date.now() + seconds * 1000;
  let rounds = 0;
  for (; Date.now() < end || rounds === 0; rounds++) {
    const server = await mount(image, at("killed"), at("cache-killed"));
    const reading = compareAll(files, at("killed")).catch((error) => error);
    await delay(draw(1000));
    server.child.kill("SIGKILL");
    await server.ended;
    const error = await reading;
    check(error === undefined || error.code !== undefined, error?.message);
    execFileSync("umount", ["-l", at("killed")]);
    const again = await mount(image, at("killed"), at("cache-killed"));
    await compareAll(files, at("killed"));
    await stop(again);
    if (rounds % 4 === 3) await rm(at("cache-killed"), { recursive: true });
  }
  return `${rounds} kills`;
}

async function mountsOfOneCache(files, image) {
  const points = Array.from({ length: 8 }, (_, index) => at(`shared-${index}`));
  const servers = await Promise.all(points.map((point) => mount(image, point, at("cache-shared"))));
  await Promise.all(points.map((point) => compareAll(files, point)));
  await Promise.all(servers.map(stop));
  return `${points.length} mounts`;
}

async function listingWhileCachesDrop(image) {
  const server = await mount(image, at("listed"), at("cache-listed"), "fuse");
  const before = await stat(at("listed/many/name-7"));
  const end = Date.now() + seconds * 1000;
  let rounds = 0;
  for (; Date.now() < end || rounds === 0; rounds++) {
    const names = new Set();
    for await (const { name } of await opendir(at("listed/many"), { bufferSize: 16 })) {
      check(!names.has(name), `${name} came twice`);
      names.add(name);
      if (names.size % 5000 === 0) dropCaches();
    }
    check(names.size === NAMES, `${names.size} names of ${NAMES}`);
    const { ino, nlink } = await stat(at("listed/many/name-7"));
    check(ino === before.ino && nlink === before.nlink, "the inode number changed");
  }
  await stop(server);
  return `${rounds} listings of ${NAMES} names`;
}

async function interruptedConversions(image) {
  const work = at("work");
  await mkdir(work, { recursive: true });
  const from = `dir:${source}`;
  const end = Date.now() + seconds * 1000;
  let rounds = 0;
  for (; Date.now() < end || rounds === 0; rounds++) {
    const [kind, tag] = [
      ["oci", ":x"],
      ["oci-archive", ""],
    ][rounds % 2];
    const conversion = start(CONVERT, [from, `${kind}:${at("target")}${tag}`, "--work-dir", work]);
    await delay(500 + draw(4000));
    conversion.child.kill(["SIGINT", "SIGTERM"][draw(2)]);
    const { status, signal } = await conversion.ended;
    check(status === 130 || status === 0 || signal !== null, `ended with ${status}`);
    check((await readdir(work)).length === 0, "the work directory was left behind");
    const left = await readdir(folder, { recursive: kind === "oci" && status !== null });
    check(!left.some((name) => name.includes(".nydus-tmp-")), "a temporary file was left behind");
    await rm(at("target"), { recursive: true, force: true });
  }
  check((await convert(from, `oci:${at("again")}:x`)) === image, "another digest than before");
  return `${rounds} interrupts`;
}

async function otherSurroundings(image) {
  const environments = [
    { TZ: "Asia/Tokyo", LANG: "C" },
    { TZ: "America/St_Johns", LANG: "de_DE.UTF-8", LC_ALL: "tr_TR.UTF-8" },
  ];
  for (const [index, environment] of environments.entries()) {
    const work = at(`work-${index}`);
    await mkdir(work);
    const program = CONVERT.join(" ");
    const command = `umask 0${index}77 && cd / && ${program} dir:${source} oci:${at(`same-${index}`)}:x --jobs ${index + 1}`;
    const printed = execFileSync("sh", ["-c", command], {
      env: { ...process.env, ...environment, TMPDIR: work },
    });
    check(printed.toString().trim() === image, `another digest with ${JSON.stringify(environment)}`);
  }
  return `${environments.length} environments`;
}

await makeSource();
const files = await listFiles();
const digest = await convert(`dir:${source}`, `oci:${at("image")}:x`);
const image = `oci:${at("image")}:x`;
const runs = [
  ["readers while registries die and caches drop", () => readersOverDyingRegistry(files)],
  ["kill -9 while a cache fills", () => killsWhileFilling(files, image)],
  ["many mounts of one cache", () => mountsOfOneCache(files, image)],
  ["listing while caches drop", () => listingWhileCachesDrop(image)],
  ["interrupted conversions", () => interruptedConversions(digest)],
  ["the same digest everywhere", () => otherSurroundings(digest)],
];
const rows = [];
for (const [name, run] of runs) {
  const begin = performance.now();
  const result = await run().then(
    (counts) => ["passed", counts],
    (error) => ["FAILED", error.message],
  );
  rows.push([name, `${((performance.now() - begin) / 1000).toFixed(0)} s`, ...result]);
  console.error(rows.at(-1).join("  "));
}
const failed = rows.filter(([, , verdict]) => verdict === "FAILED").length;
if (failed === 0) await rm(folder, { recursive: true });
else console.error(`kept for a look: ${folder}`);
for (const [name, time, verdict, counts] of rows) {
  console.log(`${name.padEnd(46)} ${verdict}  ${time.padStart(5)}  ${counts}`);
}
process.exit(failed === 0 ? 0 : 1);
