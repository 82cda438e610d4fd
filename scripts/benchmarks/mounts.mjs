// Mounts for benchmarks: the converted big image in a registry, and each way to mount it.
import { execFileSync, spawn, spawnSync } from "node:child_process";
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { CONVERT, debianLayout, has, MOUNT, ROOT, startRegistry, timed } from "./support.mjs";

/**
 * The big image, converted and pushed to a registry of its own; dispose of it with `stop`. NYDUS_BENCH_CONVERTED names an
 * OCI layout that was converted before (tag "nydus"), to save the conversion.
 */
export async function convertedImage() {
  const work = mkdtempSync(join(process.env.TMPDIR ?? tmpdir(), "bench-mount-"));
  const registry = await startRegistry(join(work, "registry"));
  const image = `docker://${registry.host}/debian:nydus`;
  const converted = process.env.NYDUS_BENCH_CONVERTED;
  if (converted === undefined) timed([...CONVERT, `oci:${debianLayout()}:debian`, image, "--quiet"]);
  else timed(["node", join(ROOT, "scripts/push-layout.mjs"), converted, registry.host, "debian", "nydus"]);
  const bootstrap = await downloadBootstrap(registry.host, join(work, "boot"));
  return {
    work,
    image,
    bootstrap,
    host: registry.host,
    rootfs: `${debianLayout()}.rootfs`,
    stop() {
      registry.stop();
      rmSync(work, { recursive: true, force: true });
    },
  };
}

async function downloadBootstrap(host, directory) {
  const accept = { accept: "application/vnd.oci.image.manifest.v1+json" };
  const manifest = await (
    await fetch(`http://${host}/v2/debian/manifests/nydus`, { headers: accept })
  ).json();
  const layer = await (
    await fetch(`http://${host}/v2/debian/blobs/${manifest.layers.at(-1).digest}`)
  ).arrayBuffer();
  mkdirSync(directory);
  execFileSync("tar", ["-xzf", "-", "-C", directory], { input: Buffer.from(layer) });
  return join(directory, "image/image.boot");
}

/**
 * Makes one chunk of every blob in a cache folder missing, so that reads of all others go through our process and not
 * from the kernel to the cache file.
 */
export function loseOneChunkEach(cache) {
  const names = readdirSync(cache);
  for (const name of names.filter((file) => file.endsWith(".chunk_map"))) {
    const map = readFileSync(join(cache, name));
    // The bits begin behind a header of 4096 bytes.
    const at = map.findLastIndex((byte, index) => index >= 4096 && byte !== 0);
    map[at] &= map[at] - 1;
    writeFileSync(join(cache, name), map);
  }
  for (const name of names.filter((file) => file.endsWith(".verified"))) rmSync(join(cache, name));
}

/** Bytes of the cache files' pages in memory, beside what the kernel keeps of the mount. */
export function cachedBytes(cache) {
  const files = readdirSync(cache).filter((name) => name.endsWith(".blob.data"));
  const args = ["--bytes", "--noheadings", "--output", "RES", ...files.map((name) => join(cache, name))];
  const { stdout } = spawnSync("fincore", args, { encoding: "utf8" });
  return stdout.split("\n").reduce((sum, line) => sum + Number(line), 0);
}

/** Our mount by one engine over a cache folder; `stop` unmounts it and gives its stats. */
export function mountOurs(converted, engine, cache, extra = []) {
  const mountpoint = freshDirectory(converted.work, "mnt-ours");
  const stats = join(converted.work, `stats-${Math.random()}`);
  const flags = ["--engine", engine, "--cache-dir", cache, "--detach", "--stats", stats, ...extra];
  timed([...MOUNT, converted.image, mountpoint, ...flags]);
  return {
    mountpoint,
    memory: () => memoryOf(mountpoint),
    stop() {
      timed([...MOUNT, "--unmount", mountpoint]);
      for (let tries = 0; tries < 100 && !existsSync(stats); tries++) spawnSync("sleep", ["0.1"]);
      return JSON.parse(readFileSync(stats, "utf8"));
    },
  };
}

/** The real nydusd over the same registry; absent when it is not on PATH. */
export function mountNydusd(converted, cache) {
  if (!has("nydusd")) return undefined;
  const mountpoint = freshDirectory(converted.work, "mnt-nydusd");
  mkdirSync(cache, { recursive: true });
  const config = join(converted.work, "nydusd.json");
  const backend = { type: "registry", config: { scheme: "http", host: converted.host, repo: "debian" } };
  const device = { backend, cache: { type: "blobcache", config: { work_dir: cache } } };
  const rafs = { mode: "direct", digest_validate: false, iostats_files: false, enable_xattr: true };
  writeFileSync(config, JSON.stringify({ device, ...rafs }));
  const flags = ["--config", config, "--mountpoint", mountpoint, "--bootstrap", converted.bootstrap];
  const child = spawn("nydusd", [...flags, "--rlimit-nofile", "20000", "--log-level", "error"], {
    stdio: "ignore",
  });
  waitForMount(mountpoint);
  return {
    mountpoint,
    memory: () => pssOf([child.pid]),
    stop() {
      child.kill();
      for (let tries = 0; tries < 50 && isMounted(mountpoint); tries++) spawnSync("sleep", ["0.1"]);
    },
  };
}

/** Proportional set size of the processes that serve a mount of ours, in bytes. */
function memoryOf(mountpoint) {
  const listing = execFileSync("pgrep", ["-f", `nydus-mount.js .*${mountpoint}`], { encoding: "utf8" });
  return pssOf(listing.trim().split("\n"));
}

function pssOf(pids) {
  let kilobytes = 0;
  for (const pid of pids) {
    const rollup = readFileSync(`/proc/${pid}/smaps_rollup`, "utf8");
    kilobytes += Number(/^Pss:\s+(\d+) kB/m.exec(rollup)?.[1] ?? 0);
  }
  return kilobytes * 1024;
}

function isMounted(mountpoint) {
  return readFileSync("/proc/self/mountinfo", "utf8").includes(` ${mountpoint} `);
}

function waitForMount(mountpoint) {
  for (let tries = 0; tries < 100 && !isMounted(mountpoint); tries++) spawnSync("sleep", ["0.05"]);
  if (!isMounted(mountpoint)) throw new Error(`nothing was mounted at ${mountpoint}`);
}

function freshDirectory(parent, name) {
  return mkdtempSync(join(parent, `${name}-`));
}
