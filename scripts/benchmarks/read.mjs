// Reading 1.9 GB through tar: from the registry, then from the cache with the page cache dropped; small random reads and
// large sequential ones of a big file. Cached reads are measured twice: blobs handed to the kernel ("no daemon"), and
// with our process on the path, one chunk of every blob missing.
import { join } from "node:path";
import { cachedBytes, convertedImage, loseOneChunkEach, mountNydusd, mountOurs } from "./mounts.mjs";
import { dropCaches, Figures, has, timed } from "./support.mjs";

const figures = new Figures("read", process.argv.includes("--json"));
const rounds = Number(process.env.NYDUS_BENCH_ROUNDS ?? 3);
const converted = await convertedImage();
const readAll = (mountpoint) =>
  timed(["sh", "-c", `tar -cf - -C ${mountpoint} . | cat > /dev/null`]).wallSeconds;
const LARGE = "usr/lib/jvm/java-17-openjdk-amd64/lib/modules";

try {
  const cache = join(converted.work, "cache");
  const nydusdCache = join(converted.work, "cache-nydusd");
  for (const [subject, open] of [
    ["ours", () => mountOurs(converted, "erofs", cache)],
    ["nydusd", () => mountNydusd(converted, nydusdCache)],
  ]) {
    dropCaches();
    const mount = open();
    if (mount === undefined) continue;
    figures.add("tar, cold registry", subject, "wall", "s", readAll(mount.mountpoint));
    figures.add("tar, cold registry", subject, "memory", "MiB", mount.memory() / 2 ** 20);
    const stats = mount.stop();
    if (stats !== undefined) {
      figures.add("tar, cold registry", subject, "requests", "", stats.requests);
      figures.add("tar, cold registry", subject, "fetched", "MiB", stats.fetchedBytes / 2 ** 20);
    }
  }
  // Mounted once: a first pass proves what an earlier process left in the cache; it is not what is measured.
  loseOneChunkEach(cache);
  const mounts = [
    ["ours", mountOurs(converted, "erofs", cache)],
    ["ours, fuse", mountOurs(converted, "fuse", cache)],
    ["nydusd", mountNydusd(converted, nydusdCache)],
    ["unpacked", { mountpoint: converted.rootfs, stop() {} }],
  ].filter(([, mount]) => mount !== undefined);
  for (const [, { mountpoint }] of mounts) readAll(mountpoint);
  // The cache is whole now, but for those who opened it before.
  mounts.splice(2, 0, ["ours, no daemon", mountOurs(converted, "erofs", cache)]);
  for (let round = 0; round < rounds; round++) {
    for (const [subject, { mountpoint }] of mounts) {
      dropCaches();
      figures.add("tar, blobs cached", subject, "wall", "s", readAll(mountpoint));
      if (subject.startsWith("ours")) {
        figures.add("tar, blobs cached", subject, "cache pages", "MiB", cachedBytes(cache) / 2 ** 20);
      }
      if (!has("fio")) continue;
      dropCaches();
      figures.add("4 KiB random read, 1 job", subject, "rate", "1/s", fio(mountpoint, "randread", "4k").iops);
      dropCaches();
      figures.add("1 MiB sequential read", subject, "rate", "MiB/s", fio(mountpoint, "read", "1m").bw / 1024);
    }
  }
  for (const [subject, mount] of mounts) {
    const { cachedReads } = mount.stop() ?? {};
    if (cachedReads !== undefined) figures.add("all of the above", subject, "FUSE READs", "", cachedReads);
  }
} finally {
  converted.stop();
}
figures.print();

/** The READ figures of fio over the large file; of random reads 4 s, of sequential ones one pass. */
function fio(mountpoint, kind, size) {
  const job = [`--name=${kind}`, `--rw=${kind}`, `--bs=${size}`, "--readonly"];
  const time = kind === "randread" ? ["--runtime=4", "--time_based"] : [];
  const output = [`--filename=${mountpoint}/${LARGE}`, "--output-format=json"];
  const { stdout } = timed(["fio", ...job, ...time, ...output]);
  return JSON.parse(stdout.slice(stdout.indexOf("{"))).jobs[0].read;
}
