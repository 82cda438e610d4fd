import { readdirSync } from "node:fs";
import { fixturePath } from "./fixtures.ts";

/** A golden image as a user of nydus-convert names it. */
export interface GoldenImage {
  readonly name: string;
  /** IMAGE, or the options in its place. */
  readonly args: readonly string[];
  /** The file under fixtures/golden that says what it holds; absent where only its makers know. */
  readonly shown: string | undefined;
}

const HEX_64 = /^[0-9a-f]{64}$/;
/** Folders of `made` that others take chunks from. */
const SHARED = ["dict", "layer1", "layer2", "layer3"];

/** Runs of nydus-image whose chunks this release reads. */
const MADE = [
  "dict",
  "layer1",
  "layer2",
  "layer3",
  "merged",
  "tar-rafs",
  "v5",
  "v5-lz4-aligned",
  "v6-chunk-0x1000",
  "v6-chunk-0x100000",
  "v6-chunk-0x1000000",
  "v6-inline",
  "v6-inline-toc",
  "v6-lz4_block-blake3",
  "v6-lz4_block-sha256",
  "v6-none-blake3",
  "v6-prefetch",
  "v6-repeatable",
  "v6-toc",
  "v6-zstd-blake3",
  "v6-zstd-sha256",
  "with-dict",
];
const NYDUSIFY = ["native", "lz4-64k", "v5", "merged-platform", "referrer"];

/** Those that are refused when chunks are needed, and the feature that the message names. */
const UNSUPPORTED: readonly (readonly [image: GoldenImage, feature: string])[] = [
  [made("tarfs"), "tarfs"],
  [made("targz-ref"), "zran"],
  [made("v6-batch"), "batch"],
  [made("v6-encrypt"), "encryption"],
  [layout("batch"), "batch"],
  [layout("zran"), "zran"],
];

/** Every golden image that can be read. */
export function listReadableImages(): GoldenImage[] {
  return [
    ...MADE.map(made),
    ...NYDUSIFY.map(layout),
    fixtureOfNydus("bootstrap/rafs-v6-2.2.boot", "blobs"),
    fixtureOfNydus("repeatable/blake3-lz4_block-non_repeatable", "repeatable/blobs"),
    fixtureOfNydus("repeatable/sha256-nocompress-repeatable", "repeatable/blobs"),
  ];
}

/** Every golden image with a feature this release does not read. */
export function listUnsupportedImages(): (GoldenImage & { readonly feature: string })[] {
  return UNSUPPORTED.map(([image, feature]) => ({ ...image, feature }));
}

/** The folders of fixtures/golden that hold images, to find those that no list names. */
export function listGoldenFolders(): string[] {
  return ["made", "nydusify"].flatMap((kind) =>
    readdirSync(fixturePath("golden", kind), { withFileTypes: true })
      .filter((row) => row.isDirectory())
      .map((row) => `${kind}/${row.name}`),
  );
}

/** One run of nydus-image. */
export function made(run: string): GoldenImage {
  const folder = fixturePath("golden", "made", run);
  const files = readdirSync(folder);
  const blobId = files.find((name) => HEX_64.test(name));
  const folders = [run, ...SHARED.filter((name) => name !== run)];
  return {
    name: `made/${run}`,
    args: [
      "--bootstrap",
      `${folder}/bootstrap`,
      ...folders.flatMap((name) => ["--blob-dir", fixturePath("golden", "made", name)]),
      // What was inlined can only be named from outside.
      ...(blobId === undefined ? [] : ["--blob-id", blobId]),
    ],
    shown: files.includes("nydusd.jsonl") ? `made/${run}/nydusd.jsonl` : "made/tree.jsonl",
  };
}

function layout(name: string): GoldenImage {
  const args = [`oci:${fixturePath("golden", "nydusify", name)}:${name}`, "--platform", "linux/amd64"];
  return { name: `nydusify/${name}`, args, shown: "made/layers-1-3.jsonl" };
}

function fixtureOfNydus(bootstrap: string, blobs: string): GoldenImage {
  const path = (file: string): string => fixturePath("golden", "nydus", ...file.split("/"));
  const args = ["--bootstrap", path(bootstrap), "--blob-dir", path(blobs)];
  return { name: `nydus/${bootstrap}`, args, shown: undefined };
}
