// Images converted beside nydusify, or beside its stages run by hand where it is not installed (skopeo, nydus-image,
// gzip): wall, CPU and memory, size, and the floor: what the stages of ours cost by themselves, over the cores.
// Usage: scripts/bench convert [--json] [--only whole|layer|memory]
import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, statSync } from "node:fs";
import { cpus, tmpdir } from "node:os";
import { join } from "node:path";
import { makeLayer, makeLayout } from "./convert/layouts.mjs";
import { convertByStages, createArguments } from "./convert/nydusify-stages.mjs";
import { CONVERT, debianLayout, dropCaches, Figures, has, startRegistry, timed } from "./support.mjs";

const COMPRESSORS = ["zstd", "lz4_block", "none"];
const MIB = 2 ** 20;
const figures = new Figures("convert", process.argv.includes("--json"));
const only = process.argv.indexOf("--only");
const isWanted = (part) => only < 0 || process.argv[only + 1] === part;
const layout = debianLayout();
const work = mkdtempSync(join(process.env.TMPDIR ?? tmpdir(), "bench-convert-"));
const registry = await startRegistry(join(work, "registry"));

const blob = (digest) => join(layout, "blobs", digest.replace(":", "/"));
const read = (digest) => JSON.parse(readFileSync(blob(digest), "utf8"));
const index = JSON.parse(readFileSync(join(layout, "index.json"), "utf8"));
const manifest = read(index.manifests[0].digest);
const { diff_ids: diffIds } = read(manifest.config.digest).rootfs;

/** Converts with ours; gives the cost and the report. */
function convert(source, target, ...options) {
  const report = join(work, "report.json");
  const cost = timed([...CONVERT, source, target, "--quiet", "--report", report, ...options]);
  return { ...cost, report: JSON.parse(readFileSync(report, "utf8")) };
}

async function wholeImage() {
  const source = `${registry.host}/debian:source`;
  const copy = ["copy", "-q", "--dest-tls-verify=false", `oci:${layout}:debian`, `docker://${source}`];
  execFileSync("skopeo", copy);
  for (const compressor of COMPRESSORS) {
    const name = `whole image, ${compressor}`;
    dropCaches();
    const ours = convert(
      `docker://${source}`,
      `docker://${registry.host}/ours:${compressor}`,
      "--compressor",
      compressor,
    );
    figures.addCost(name, "ours", ours);
    figures.add(name, "ours", "size", "MiB", ours.report.TargetImageSize / MIB);

    dropCaches();
    const peer = has("nydusify") ? nydusify(source, compressor) : await stages(source, compressor, name);
    figures.addCost(name, "nydusify", peer);
    figures.add(name, "nydusify", "size", "MiB", peer.size / MIB);

    dropCaches();
    const unchecked = convert(
      `docker://${source}`,
      `docker://${registry.host}/unchecked:${compressor}`,
      "--compressor",
      compressor,
      "--no-verify",
    );
    figures.add(name, "without self-check", "wall", "s", unchecked.wallSeconds);
    figures.add(name, "without self-check", "cpu", "s", unchecked.cpuSeconds);

    const layers = manifest.layers.map(({ digest }) => blob(digest));
    const program = join(import.meta.dirname, "convert/stages.mjs");
    const alone = JSON.parse(
      execFileSync(process.execPath, [program, compressor, work, ...layers], { encoding: "utf8" }),
    );
    let sum = 0;
    for (const [stage, seconds] of Object.entries(alone)) {
      figures.add(`stages of ours, ${compressor}`, stage, "cpu", "s", seconds);
      sum += seconds;
    }
    figures.add(name, "floor: stages / cores", "wall", "s", sum / cpus().length);
    figures.add(name, "floor: stages / cores", "cpu", "s", sum);
  }
}

function nydusify(source, compressor) {
  const target = `${registry.host}/nydusify:${compressor}`;
  const options = ["--fs-version", "6", "--compressor", compressor, "--work-dir", join(work, "nydusify")];
  const cost = timed(["nydusify", "convert", "--source", source, "--target", target, ...options]);
  const inspect = ["inspect", "--raw", "--tls-verify=false", `docker://${target}`];
  const { layers } = JSON.parse(execFileSync("skopeo", inspect, { encoding: "utf8" }));
  return { ...cost, size: layers.reduce((sum, layer) => sum + layer.size, 0) };
}

async function stages(source, compressor, name) {
  const cost = await convertByStages(
    source,
    `${registry.host}/peer:${compressor}`,
    compressor,
    join(work, "peer"),
  );
  for (const [step, { wallSeconds }] of Object.entries(cost.steps)) {
    figures.add(`${name}: stages of nydusify`, step, "wall", "s", wallSeconds);
  }
  return cost;
}

/** The largest layer alone. Ours also merges, checks and publishes the image; the peer writes a blob. */
function oneLayer() {
  const position = manifest.layers.reduce(
    (best, { size }, at, all) => (size > all[best].size ? at : best),
    0,
  );
  const layer = manifest.layers[position];
  const path = blob(layer.digest);
  const source = makeLayout(join(work, "one"), [{ ...layer, diffId: diffIds[position], path }]);
  for (const compressor of COMPRESSORS) {
    const name = `one layer of ${(layer.size / MIB).toFixed(0)} MiB, ${compressor}`;
    dropCaches();
    const ours = convert(source, `oci:${join(work, "one-out")}:x`, "--compressor", compressor);
    figures.addCost(name, "ours", ours);
    figures.add(name, "ours", "size", "MiB", ours.report.TargetImageSize / MIB);
    rmSync(join(work, "one-out"), { recursive: true });
    const peers = {
      "gzip -dc | nydus-image": [
        "tar-rafs",
        (create) => `gzip -dc ${path} | nydus-image ${create} /dev/stdin`,
      ],
      "nydus-image targz-rafs": ["targz-rafs", (create) => `nydus-image ${create} ${path}`],
    };
    for (const [peer, [type, command]] of Object.entries(peers)) {
      const [out, bootstrap] = [join(work, "peer-blob"), join(work, "peer-bootstrap")];
      dropCaches();
      const create = createArguments(compressor, out, bootstrap, type).join(" ");
      figures.addCost(name, peer, timed(["sh", "-c", command(create)]));
      figures.add(name, peer, "size", "MiB", (statSync(out).size + statSync(bootstrap).size) / MIB);
      for (const file of [out, bootstrap]) rmSync(file);
    }
  }
}

async function memory() {
  const large = await makeLayer(join(work, "large.tar.gz"), "large", [5e9]);
  const many = [];
  for (let layer = 0; layer < 60; layer++) {
    const sizes = Array.from({ length: 500 }, (_, file) => 1000 + 37 * file);
    many.push(await makeLayer(join(work, `many-${layer}.tar.gz`), `layer-${layer}`, sizes));
  }
  const images = { "one file of 5 GB": [large], "60 layers": many };
  for (const [name, layers] of Object.entries(images)) {
    const source = makeLayout(join(work, `memory ${name}`), layers);
    figures.addCost(name, "ours", convert(source, `oci:${join(work, "memory-out")}:x`));
    rmSync(join(work, "memory-out"), { recursive: true });
  }
}

try {
  if (isWanted("whole")) await wholeImage();
  if (isWanted("layer")) oneLayer();
  if (isWanted("memory")) await memory();
} finally {
  registry.stop();
  rmSync(work, { recursive: true, force: true });
}
figures.print();
