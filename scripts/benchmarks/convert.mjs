// One 1.9 GB image, and one of its layers, converted: wall, CPU, memory and size beside nydus-image.
// The floor is what the stages cost by themselves on this machine, over its cores.
import { mkdtempSync, readFileSync, rmSync, statSync } from "node:fs";
import { cpus, tmpdir } from "node:os";
import { join } from "node:path";
import { CONVERT, debianLayout, dropCaches, Figures, has, startRegistry, timed } from "./support.mjs";

const figures = new Figures("convert", process.argv.includes("--json"));
const layout = debianLayout();
const work = mkdtempSync(join(process.env.TMPDIR ?? tmpdir(), "bench-convert-"));
const registry = has("docker-registry") ? await startRegistry(join(work, "registry")) : undefined;

const index = JSON.parse(readFileSync(join(layout, "index.json"), "utf8"));
const blob = (digest) => join(layout, "blobs", digest.replace(":", "/"));
const manifest = JSON.parse(readFileSync(blob(index.manifests[0].digest), "utf8"));
const largest = manifest.layers.reduce((left, right) => (left.size > right.size ? left : right));

try {
  const source = `oci:${layout}:debian`;

  for (const compressor of ["zstd", "lz4_block", "none"]) {
    const name = `whole image, ${compressor}`;
    dropCaches();
    const report = join(work, "report.json");
    const target =
      registry === undefined ? `oci:${work}/${compressor}` : `docker://${registry.host}/debian:${compressor}`;
    figures.addCost(
      name,
      "ours",
      timed([...CONVERT, source, target, "--compressor", compressor, "--quiet", "--report", report]),
    );
    figures.add(
      name,
      "ours",
      "size",
      "MiB",
      JSON.parse(readFileSync(report, "utf8")).TargetImageSize / 2 ** 20,
    );

    if (has("nydus-image")) {
      dropCaches();
      let wall = 0;
      let cpu = 0;
      let size = 0;
      for (const [position, layer] of manifest.layers.entries()) {
        const out = join(work, `peer-${position}`);
        const cost = timed([
          "sh",
          "-c",
          `gzip -dc ${blob(layer.digest)} | ${peerCreate(compressor, out)} /dev/stdin`,
        ]);
        wall += cost.wallSeconds;
        cpu += cost.cpuSeconds;
        size += statSync(out).size;
        rmSync(out);
      }
      figures.add(name, "nydus-image per layer", "wall", "s", wall);
      figures.add(name, "nydus-image per layer", "cpu", "s", cpu);
      figures.add(name, "nydus-image per layer", "size", "MiB", size / 2 ** 20);
    }
  }

  // The floor: inflate, digest and compress, each alone, over the cores of the machine.
  const stages = {
    inflate: `gzip -dc`,
    digest: `gzip -dc %s | sha256sum`,
    compress: `gzip -dc %s | zstd -3 -T1 -c`,
  };
  if (has("zstd")) {
    const inflate = timed([
      "sh",
      "-c",
      manifest.layers.map((layer) => `${stages.inflate} ${blob(layer.digest)} >/dev/null`).join(";"),
    ]);
    const compress = timed([
      "sh",
      "-c",
      manifest.layers
        .map((layer) => `${stages.compress.replace("%s", blob(layer.digest))} >/dev/null`)
        .join(";"),
    ]);
    figures.add("whole image, zstd", "gzip -dc alone", "cpu", "s", inflate.cpuSeconds);
    figures.add(
      "whole image, zstd",
      "floor (gzip, zstd -3) / cores",
      "wall",
      "s",
      compress.cpuSeconds / cpus().length,
    );
  }
  figures.add("largest layer", "input", "size", "MiB", largest.size / 2 ** 20);
} finally {
  registry?.stop();
  rmSync(work, { recursive: true, force: true });
}
figures.print();

function peerCreate(compressor, out) {
  return `nydus-image create --log-level warn --prefetch-policy none --blob ${out} --whiteout-spec none --fs-version 6 --type tar-rafs --blob-inline-meta --features blob-toc --compressor ${compressor}`;
}
