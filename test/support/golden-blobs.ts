import { readdirSync } from "node:fs";
import { basename, join } from "node:path";
import { gunzipSync } from "node:zlib";
import { fixturePath, readFixture } from "./fixtures.ts";

/** A blob file that the real tools made. */
export interface GoldenBlob {
  /** Its path under fixtures/golden. */
  readonly path: string;
  readonly bytes: Uint8Array;
}

const HEX_64 = /^[0-9a-f]{64}$/;

interface Manifest {
  readonly layers?: readonly { readonly mediaType: string; readonly digest: string }[];
}

/** Every blob file under fixtures/golden: of the single runs, of the OCI layouts, of the nydus repository. */
export function listGoldenBlobs(): GoldenBlob[] {
  const paths: string[] = [];
  for (const run of readdirSync(fixturePath("golden", "made"), { withFileTypes: true })) {
    if (!run.isDirectory() || run.name === "tarfs") continue;
    for (const name of readdirSync(fixturePath("golden", "made", run.name))) {
      if (HEX_64.test(name)) paths.push(join("made", run.name, name));
    }
  }
  for (const layout of goldenLayouts()) {
    for (const manifest of manifestsOf(layout)) {
      for (const layer of manifest.layers ?? []) {
        if (!layer.mediaType.endsWith("nydus.blob.v1")) continue;
        paths.push(join(layout, "blobs", "sha256", layer.digest.slice(7)));
      }
    }
  }
  for (const folder of [join("nydus", "blobs"), join("nydus", "repeatable", "blobs")]) {
    for (const name of readdirSync(fixturePath("golden", folder))) paths.push(join(folder, name));
  }
  return paths.map((path) => ({ path, bytes: readFixture("golden", path) }));
}

/** A bootstrap that the real tools made, and the folder (under fixtures/golden) of its blobs. */
export interface GoldenBootstrap {
  readonly name: string;
  readonly bytes: Uint8Array;
  readonly blobFolders: readonly string[];
  /** The archive it came in, when it came in one. */
  readonly archive?: Uint8Array;
}

/** Every bootstrap under fixtures/golden. */
export function listGoldenBootstraps(): GoldenBootstrap[] {
  const found: GoldenBootstrap[] = [];
  for (const run of readdirSync(fixturePath("golden", "made"), { withFileTypes: true })) {
    if (!run.isDirectory()) continue;
    const blobFolders = [run.name, "dict", "layer1", "layer2", "layer3"].map((name) => join("made", name));
    found.push({
      name: join("made", run.name),
      bytes: readFixture("golden", "made", run.name, "bootstrap"),
      blobFolders,
    });
  }
  for (const layout of goldenLayouts()) {
    for (const manifest of manifestsOf(layout)) {
      const last = manifest.layers?.at(-1);
      if (last === undefined || last.mediaType.endsWith("nydus.blob.v1")) continue;
      const folder = join(layout, "blobs", "sha256");
      const archive = gunzipSync(readFixture("golden", folder, last.digest.slice(7)));
      const bytes = tarFile(archive, "image/image.boot");
      if (bytes !== undefined) found.push({ name: layout, bytes, blobFolders: [folder], archive });
    }
  }
  found.push({
    name: "nydus/bootstrap",
    bytes: readFixture("golden", "nydus", "bootstrap", "rafs-v6-2.2.boot"),
    blobFolders: [join("nydus", "blobs")],
  });
  for (const name of ["blake3-lz4_block-non_repeatable", "sha256-nocompress-repeatable"]) {
    found.push({
      name: join("nydus", "repeatable", name),
      bytes: readFixture("golden", "nydus", "repeatable", name),
      blobFolders: [join("nydus", "repeatable", "blobs")],
    });
  }
  return found;
}

/** The one golden bootstrap whose name that is. */
export function goldenBootstrap(name: string): GoldenBootstrap {
  const found = listGoldenBootstraps().find((golden) => golden.name === name);
  if (found === undefined) throw new Error(`no golden bootstrap ${name}`);
  return found;
}

/** The bytes of a blob in one of `folders`; absent when none has it. */
export function findGoldenBlob(folders: readonly string[], id: string): Uint8Array | undefined {
  for (const folder of folders) {
    if (readdirSync(fixturePath("golden", folder)).includes(id)) return readFixture("golden", folder, id);
  }
  return undefined;
}

function goldenLayouts(): string[] {
  return readdirSync(fixturePath("golden", "nydusify"))
    .filter((name) => name !== "source")
    .map((name) => join("nydusify", name));
}

function manifestsOf(layout: string): Manifest[] {
  const folder = join(layout, "blobs", "sha256");
  const manifests: Manifest[] = [];
  for (const name of readdirSync(fixturePath("golden", folder))) {
    const bytes = readFixture("golden", folder, basename(name));
    if (bytes[0] !== 0x7b || bytes.length > 2 ** 20) continue;
    const document = JSON.parse(new TextDecoder().decode(bytes)) as Manifest;
    if (document.layers !== undefined) manifests.push(document);
  }
  return manifests;
}

/** A file of a plain tar archive. */
export function tarFile(archive: Uint8Array, wanted: string): Uint8Array | undefined {
  const text = new TextDecoder("latin1");
  for (let offset = 0; offset + 512 <= archive.length; ) {
    const name = text.decode(archive.subarray(offset, offset + 100)).replace(/\0.*$/s, "");
    const size = Number.parseInt(text.decode(archive.subarray(offset + 124, offset + 135)), 8) || 0;
    if (name === wanted) return archive.slice(offset + 512, offset + 512 + size);
    offset += 512 + Math.ceil(size / 512) * 512;
  }
  return undefined;
}
