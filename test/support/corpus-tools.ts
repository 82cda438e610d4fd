import { execFileSync } from "node:child_process";
import { mkdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { gunzipSync } from "node:zlib";
import { OCI_LAYER_ZSTD } from "#src/format/oci/media-types.js";
import type { Row } from "./compare-trees.ts";
import { type CorpusCase, GNU_UNPACK, type Layer } from "./corpus-case.ts";
import { addXattrs, makeFullTree, makePlainTree } from "./corpus-trees.ts";
import { fixturePath, readFixture } from "./fixtures.ts";

/** A tar of a tree that `make` makes, written by a real tool. */
function written(
  make: (root: string) => void,
  command: string,
  ...args: readonly string[]
): (folder: string) => Buffer[] {
  return (folder) => {
    const tree = join(folder, "tree");
    mkdirSync(tree);
    make(tree);
    return [execFileSync(command, [...args, "-C", tree, "-cf", "-", "."], { maxBuffer: 1 << 28 })];
  };
}

function fullTreeWithXattrs(tree: string): void {
  makeFullTree(tree);
  addXattrs(tree);
}

/** A tar of another tool, from fixtures/tars. */
const fixture = (name: string) => (): Buffer[] => [gunzipSync(readFixture("tars", `${name}.tar.gz`))];

/** Go's reader, and so umoci, takes an xattr without a value for none. */
function withEmptyXattr(row: Row): Row {
  if (row.path !== "with-xattrs") return row;
  return { ...row, xattrs: { ...(row["xattrs"] as object), "user.empty": "" } };
}

const GNU_TAR = ["--sort=name", "--numeric-owner"] as const;

/**
 * The layers of an image as skopeo writes them in zstd:chunked. Their diff ids are taken anew: skopeo 1.9 writes
 * other tars than its configuration says.
 */
function zstdChunked(folder: string): Layer[] {
  const layout = join(folder, "chunked");
  const flags = ["--quiet", "--dest-compress", "--dest-compress-format", "zstd:chunked"];
  const source = `oci:${fixturePath("golden", "nydusify", "source")}:v1`;
  execFileSync("skopeo", ["--insecure-policy", "copy", ...flags, source, `oci:${layout}:v1`]);
  const blob = (digest: string): string => join(layout, "blobs", digest.replace(":", "/"));
  const [{ digest }] = JSON.parse(readFileSync(join(layout, "index.json"), "utf8")).manifests;
  const manifest = readFileSync(blob(digest), "utf8");
  if (!manifest.includes("zstd-chunked")) throw new Error("skopeo wrote no zstd:chunked");
  return (JSON.parse(manifest).layers as { digest: string }[]).map((layer) => ({
    stored: readFileSync(blob(layer.digest)),
    tar: execFileSync("zstd", ["-dc", blob(layer.digest)], { maxBuffer: 1 << 28 }),
    mediaType: OCI_LAYER_ZSTD,
  }));
}

/** Tars that real tools write. */
export const TOOL_CASES: readonly CorpusCase[] = [
  { name: "GNU tar: v7", layers: written(makePlainTree, "tar", ...GNU_TAR, "--format=v7") },
  { name: "GNU tar: ustar", layers: written(makePlainTree, "tar", ...GNU_TAR, "--format=ustar") },
  { name: "GNU tar: old GNU", layers: written(makeFullTree, "tar", ...GNU_TAR, "--format=oldgnu") },
  { name: "GNU tar: GNU", layers: written(makeFullTree, "tar", ...GNU_TAR, "--format=gnu") },
  {
    name: "GNU tar: pax, with xattrs",
    layers: written(
      fullTreeWithXattrs,
      "tar",
      ...GNU_TAR,
      "--format=posix",
      "--xattrs",
      "--xattrs-include=*",
    ),
    adjust: withEmptyXattr,
  },
  {
    name: "GNU tar: sparse files in its old format, unpacked by itself since umoci has no such type",
    layers: written(makeFullTree, "tar", ...GNU_TAR, "--format=gnu", "-S"),
    unpack: GNU_UNPACK,
  },
  ...["posix --sparse-version=0.0", "posix --sparse-version=0.1", "posix --sparse-version=1.0"].map(
    (format) => ({
      name: `GNU tar: sparse files in ${format}`,
      layers: written(makeFullTree, "tar", ...GNU_TAR, "-S", ...`--format=${format}`.split(" ")),
    }),
  ),
  { name: "bsdtar: ustar", layers: written(makePlainTree, "bsdtar", "--format=ustar") },
  { name: "bsdtar: v7", layers: written(makePlainTree, "bsdtar", "--format=v7") },
  { name: "bsdtar: GNU", layers: written(makeFullTree, "bsdtar", "--format=gnutar") },
  {
    name: "bsdtar: pax, with xattrs and sparse files",
    layers: written(fullTreeWithXattrs, "bsdtar", "--format=pax", "--xattrs", "--no-fflags", "--no-acls"),
    adjust: withEmptyXattr,
  },
  { name: "Go: ustar", layers: fixture("go-ustar") },
  { name: "Go: GNU", layers: fixture("go-gnu") },
  // umoci refuses contiguous files and global headers.
  ...["go-pax", "python-ustar", "python-gnu", "python-pax"].map((name) => ({
    name: `${name}, unpacked by GNU tar`,
    layers: fixture(name),
    unpack: GNU_UNPACK,
  })),
  { name: "skopeo: zstd:chunked", layers: zstdChunked },
];
