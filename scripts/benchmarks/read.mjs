// Reading 1.9 GB through tar: from the registry, then from the cache with the page cache dropped; and small random reads.
import { join } from "node:path";
import { convertedImage, mountNydusd, mountOurs } from "./mounts.mjs";
import { dropCaches, Figures, has, timed } from "./support.mjs";

const figures = new Figures("read", process.argv.includes("--json"));
const converted = await convertedImage();
const readAll = (mountpoint) =>
  timed(["sh", "-c", `tar -cf - -C ${mountpoint} . | cat > /dev/null`]).wallSeconds;
const LARGE = "usr/lib/jvm/java-17-openjdk-amd64/lib/modules";

try {
  const cache = join(converted.work, "cache");
  const subjects = [
    ["ours", () => mountOurs(converted, "fuse", cache)],
    ["nydusd", () => mountNydusd(converted, join(converted.work, "cache-nydusd"))],
  ];
  for (const [subject, open] of subjects) {
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
  for (let round = 0; round < 3; round++) {
    const cached = [
      ...subjects,
      ["ours, erofs", () => mountOurs(converted, "erofs", cache)],
      ["unpacked", unpacked],
    ];
    for (const [subject, open] of cached) {
      const mount = open();
      if (mount === undefined) continue;
      // A first pass proves what an earlier process left in the cache; it is not what is measured.
      if (subject === "ours") readAll(mount.mountpoint);
      dropCaches();
      figures.add("tar, blobs cached", subject, "wall", "s", readAll(mount.mountpoint));
      if (has("fio")) {
        dropCaches();
        figures.add("4 KiB random read, 1 job", subject, "rate", "1/s", randomReads(mount.mountpoint));
      }
      mount.stop();
    }
  }
} finally {
  converted.stop();
}
figures.print();

function unpacked() {
  return { mountpoint: converted.rootfs, stop() {} };
}

function randomReads(mountpoint) {
  const job = ["--name=random", "--rw=randread", "--bs=4k", "--runtime=4", "--time_based", "--readonly"];
  const { stdout } = timed(["fio", ...job, `--filename=${mountpoint}/${LARGE}`, "--output-format=json"]);
  return JSON.parse(stdout.slice(stdout.indexOf("{"))).jobs[0].read.iops;
}
