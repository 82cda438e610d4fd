// find and ls -lR over 82,000 names with the kernel's caches dropped, beside nydusd and the unpacked tree. The erofs
// engine twice: metadata from a file on disk, every blob being cached, and through our process, no blob being cached.
import { rmSync } from "node:fs";
import { join } from "node:path";
import { convertedImage, mountNydusd, mountOurs } from "./mounts.mjs";
import { dropCaches, Figures, timed } from "./support.mjs";

const figures = new Figures("metadata", process.argv.includes("--json"));
const rounds = Number(process.env.NYDUS_BENCH_ROUNDS ?? 3);
const converted = await convertedImage();
try {
  const cache = join(converted.work, "cache");
  const nydusdCache = join(converted.work, "cache-nydusd");
  const subjects = [
    ["ours", () => mountOurs(converted, "erofs", join(converted.work, "empty"))],
    ["ours, no daemon", () => mountOurs(converted, "erofs", cache)],
    ["ours, fuse", () => mountOurs(converted, "fuse", cache)],
    ["nydusd", () => mountNydusd(converted, nydusdCache)],
    ["unpacked", () => ({ mountpoint: converted.rootfs, stop() {} })],
  ];
  const filling = mountOurs(converted, "fuse", cache);
  timed(["sh", "-c", `tar -cf - -C ${filling.mountpoint} . | cat > /dev/null`]);
  filling.stop();

  for (let round = 0; round < rounds; round++) {
    for (const [subject, open] of subjects) {
      const mount = open();
      if (mount === undefined) continue;
      for (const [name, command] of [
        ["find", `find ${mount.mountpoint} > /dev/null`],
        ["ls -lR", `ls -lR ${mount.mountpoint} > /dev/null`],
      ]) {
        dropCaches();
        figures.add(name, subject, "wall", "s", timed(["sh", "-c", command]).wallSeconds);
      }
      const { cachedReads } = mount.stop() ?? {};
      if (cachedReads !== undefined) figures.add("both", subject, "FUSE READs", "", cachedReads);
    }
  }
  rmSync(cache, { recursive: true });
} finally {
  converted.stop();
}
figures.print();
