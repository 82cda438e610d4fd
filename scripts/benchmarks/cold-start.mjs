// From nothing to the end of a Python program that imports NumPy and SciPy, out of a cold registry on loopback.
import { join } from "node:path";
import { convertedImage, mountNydusd, mountOurs } from "./mounts.mjs";
import { dropCaches, Figures, timed } from "./support.mjs";

const figures = new Figures("cold-start", process.argv.includes("--json"));
const PROGRAM = "import numpy, scipy.linalg, scipy.sparse";
const converted = await convertedImage();
try {
  for (let round = 0; round < 3; round++) {
    for (const [subject, open] of [
      ["ours", (cache) => mountOurs(converted, "erofs", cache)],
      ["ours, fuse", (cache) => mountOurs(converted, "fuse", cache)],
      ["nydusd", (cache) => mountNydusd(converted, cache)],
    ]) {
      dropCaches();
      const started = performance.now();
      const mount = open(join(converted.work, `cache-${subject}-${round}`));
      if (mount === undefined) continue;
      const mountedSeconds = (performance.now() - started) / 1000;
      timed(["chroot", mount.mountpoint, "/usr/bin/python3", "-c", PROGRAM]);
      const seconds = (performance.now() - started) / 1000;
      figures.add("mount", subject, "wall", "s", mountedSeconds);
      figures.add("mount and Python with SciPy", subject, "wall", "s", seconds);
      figures.add("mount and Python with SciPy", subject, "memory", "MiB", mount.memory() / 2 ** 20);
      const stats = mount.stop();
      if (stats !== undefined) {
        figures.add("mount and Python with SciPy", subject, "requests", "", stats.requests);
        figures.add("mount and Python with SciPy", subject, "fetched", "MiB", stats.fetchedBytes / 2 ** 20);
      }
    }
  }
} finally {
  converted.stop();
}
figures.print();
