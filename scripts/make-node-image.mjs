// Makes an OCI image of the Node runtime that runs this script: shared libraries and a shell, the node binary, npm; three layers.
// Usage: node scripts/make-node-image.mjs DIR      makes DIR, an OCI layout with the tag "node".
import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  realpathSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { gzipSync } from "node:zlib";

const layout = process.argv[2];
if (layout === undefined) {
  console.error("usage: make-node-image.mjs DIR");
  process.exit(2);
}
const staging = mkdtempSync(join(tmpdir(), "node-image-"));
process.on("exit", () => rmSync(staging, { recursive: true, force: true }));

/** Shared libraries that a program loads, and the loader, as absolute paths. */
function librariesOf(program) {
  const listing = execFileSync("ldd", [program], { encoding: "utf8" });
  return [...listing.matchAll(/(?:=> )?(\/\S+) \(0x/g)].map((match) => match[1]);
}

function copyInto(root, from, to) {
  const target = join(root, to);
  mkdirSync(dirname(target), { recursive: true });
  cpSync(realpathSync(from), target, { recursive: true, verbatimSymlinks: true, preserveTimestamps: true });
}

const node = realpathSync(process.execPath);
const shell = realpathSync("/bin/sh");

const env = realpathSync("/usr/bin/env");

const base = join(staging, "base");
mkdirSync(join(base, "tmp"), { recursive: true });
mkdirSync(join(base, "proc"));
copyInto(base, shell, "bin/sh");
copyInto(base, env, "usr/bin/env");
for (const library of new Set([node, shell, env].flatMap(librariesOf))) copyInto(base, library, library);
mkdirSync(join(base, "etc"), { recursive: true });
writeFileSync(join(base, "etc/passwd"), "root:x:0:0:root:/root:/bin/sh\n");

const runtime = join(staging, "runtime");
copyInto(runtime, node, "usr/local/bin/node");

const npm = join(staging, "npm");
const npmHome = [join(dirname(node), "../lib/node_modules/npm"), "/usr/share/nodejs/npm"].find(existsSync);
mkdirSync(join(npm, "usr/local/bin"), { recursive: true });
if (npmHome !== undefined) {
  copyInto(npm, npmHome, "usr/local/lib/node_modules/npm");
  symlinkSync("../lib/node_modules/npm/bin/npm-cli.js", join(npm, "usr/local/bin/npm"));
}

const blobs = join(layout, "blobs/sha256");
rmSync(layout, { recursive: true, force: true });
mkdirSync(blobs, { recursive: true });
const sha256 = (bytes) => createHash("sha256").update(bytes).digest("hex");

function writeBlob(mediaType, bytes) {
  const hex = sha256(bytes);
  writeFileSync(join(blobs, hex), bytes);
  return { mediaType, digest: `sha256:${hex}`, size: bytes.length };
}
const writeJson = (mediaType, value) => writeBlob(mediaType, Buffer.from(JSON.stringify(value)));

const layers = [];
const diffIds = [];
for (const directory of [base, runtime, npm]) {
  const tar = execFileSync(
    "tar",
    [
      "--sort=name",
      "--owner=0",
      "--group=0",
      "--numeric-owner",
      "--format=pax",
      "--pax-option=delete=atime,delete=ctime",
      "-cf",
      "-",
      "-C",
      directory,
      ".",
    ],
    { maxBuffer: 2 ** 30 },
  );
  diffIds.push(`sha256:${sha256(tar)}`);
  layers.push(writeBlob("application/vnd.oci.image.layer.v1.tar+gzip", gzipSync(tar, { level: 6 })));
}

const config = writeJson("application/vnd.oci.image.config.v1+json", {
  architecture: process.arch === "x64" ? "amd64" : process.arch,
  os: "linux",
  config: { Env: ["PATH=/usr/local/bin:/bin"], Cmd: ["node"] },
  rootfs: { type: "layers", diff_ids: diffIds },
  history: ["libraries and shell", "node", "npm"].map((what) => ({ created_by: what })),
});
const manifest = writeJson("application/vnd.oci.image.manifest.v1+json", {
  schemaVersion: 2,
  mediaType: "application/vnd.oci.image.manifest.v1+json",
  config,
  layers,
});
writeFileSync(join(layout, "oci-layout"), JSON.stringify({ imageLayoutVersion: "1.0.0" }));
writeFileSync(
  join(layout, "index.json"),
  JSON.stringify({
    schemaVersion: 2,
    manifests: [{ ...manifest, annotations: { "org.opencontainers.image.ref.name": "node" } }],
  }),
);
const stored = layers.reduce((sum, layer) => sum + layer.size, 0);
console.log(`oci:${layout}:node: ${layers.length} layers, ${stored} bytes stored`);
