import { byteString, textOf } from "#src/base/bytes.js";
import { parseDigest } from "#src/base/digest.js";
import { parseSize } from "#src/base/options.js";
import { decodeImageConfig, encodeImageConfig } from "#src/format/oci/image-config.js";
import { formatImageName, parseImageName } from "#src/format/oci/image-name.js";
import { encodeJson } from "#src/format/oci/json.js";
import { decodeManifest, encodeManifest } from "#src/format/oci/manifest.js";
import { parsePlatform, rowsForPlatform } from "#src/format/oci/platform.js";
import { formatReference, parseReference } from "#src/format/oci/reference.js";
import { decodeDockerArchiveIndex, findDockerImage } from "#src/layout/docker-archive-index.js";
import { decodeLayoutIndex, encodeLayoutIndex, findImage } from "#src/layout/layout-index.js";
import { parseMountTable } from "#src/mount/mount-table.js";
import { parseChallenges } from "#src/registry/challenge.js";
import { readFixture } from "../support/fixtures.ts";
import type { FuzzTarget } from "./fuzz-target.ts";

const SOURCE = ["golden", "nydusify", "source"] as const;
const PLATFORM = { os: "linux", architecture: "amd64" };
const texts = (...lines: readonly string[]): Uint8Array[] => lines.map((line) => Buffer.from(line));

function manifests(): Uint8Array[] {
  const index = readFixture(...SOURCE, "index.json");
  const { manifests: rows } = JSON.parse(Buffer.from(index).toString()) as {
    manifests: { digest: string }[];
  };
  const manifest = readFixture(...SOURCE, "blobs", "sha256", rows[0]?.digest.slice(7) ?? "");
  const twoPlatforms = {
    schemaVersion: 2,
    mediaType: "application/vnd.oci.image.index.v1+json",
    manifests: [
      { ...rows[0], platform: PLATFORM },
      { ...rows[0], platform: { os: "linux", architecture: "arm64", variant: "v8" } },
    ],
  };
  return [manifest, index, encodeJson(twoPlatforms)];
}

function config(): Uint8Array[] {
  const manifest = JSON.parse(Buffer.from(manifests()[0] ?? "").toString()) as { config: { digest: string } };
  return [readFixture(...SOURCE, "blobs", "sha256", manifest.config.digest.slice(7))];
}

/** A parser of one line, and what its result is written as. */
const line = (
  name: string,
  corpus: readonly string[],
  parse: (text: string) => string | undefined,
): FuzzTarget => ({
  name,
  corpus: () => texts(...corpus),
  decode: (bytes) => {
    const text = Buffer.from(bytes).toString("utf8");
    const written = parse(text);
    if (written !== undefined && parse(written) !== written) {
      throw new Error(`${JSON.stringify(text)} is ${written}, which is ${parse(written)}`);
    }
  },
});

/** Decoders of documents, and parsers of what users and servers write. */
export const DOCUMENT_TARGETS: readonly FuzzTarget[] = [
  {
    name: "manifest",
    corpus: manifests,
    decode: (bytes) => {
      const manifest = decodeManifest(bytes);
      decodeManifest(encodeManifest(manifest));
      if (manifest.kind === "index") rowsForPlatform(manifest.manifests, PLATFORM);
    },
  },
  {
    name: "config",
    corpus: config,
    decode: (bytes) => decodeImageConfig(encodeImageConfig(decodeImageConfig(bytes))),
  },
  {
    name: "layout-index",
    corpus: () => [readFixture(...SOURCE, "index.json")],
    decode: (bytes) => {
      const index = decodeLayoutIndex(bytes, "index.json");
      decodeLayoutIndex(encodeLayoutIndex(index), "index.json");
      findImage(index, "v1", "layout");
    },
  },
  {
    name: "docker-archive",
    corpus: () =>
      texts('[{"Config":"ab.json","RepoTags":["debian:12","x/y:1"],"Layers":["a/layer.tar","b/layer.tar"]}]'),
    decode: (bytes) => {
      const images = decodeDockerArchiveIndex(bytes, "archive");
      findDockerImage(images, parseReference("debian:12"), "archive");
    },
  },
  line("reference", ["debian", "host:5000/a/b:tag", `ghcr.io/x/y@sha256:${"a".repeat(64)}`], (text) =>
    formatReference(parseReference(text)),
  ),
  line(
    "image-name",
    ["oci:/a/b:tag", "oci-archive:x.tar", "docker-archive:x.tar:debian:12", "dir:/a", "docker://debian:12"],
    (text) => {
      formatImageName(parseImageName(text));
      return undefined;
    },
  ),
  line("platform", ["linux/amd64", "linux/arm/v7", "windows/x86_64"], (text) => {
    parsePlatform(text);
    return undefined;
  }),
  line("size", ["64KiB", "1.5 GiB", "4096", "0"], (text) => String(parseSize("--size", text))),
  line("digest", [`sha256:${"0".repeat(64)}`], (text) => parseDigest(text)),
  line(
    "challenge",
    ['Bearer realm="https://a/token",service="s",scope="repository:a:pull"', 'Basic realm="x\\"y"'],
    (text) => {
      parseChallenges(text);
      return undefined;
    },
  ),
  {
    name: "mount-table",
    corpus: () =>
      texts(
        "36 35 98:0 /mnt1 /mnt2 rw,noatime master:1 - ext3 /dev/root rw,errors=continue\n",
        "37 35 0:40 / /with\\040space ro - fuse.nydus nydus ro,user_id=0\n",
      ),
    decode: (bytes) => parseMountTable(textOf(byteString(bytes))),
  },
];
