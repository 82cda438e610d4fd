import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { chmodSync, linkSync, mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { gzipSync } from "node:zlib";
import { compress, decompress } from "zstd-napi";
import { ImageAccess } from "#src/app/image-access.js";
import {
  DOCKER_CONFIG,
  DOCKER_LAYER_GZIP,
  DOCKER_MANIFEST,
  OCI_LAYER_GZIP,
  OCI_LAYER_ZSTD,
} from "#src/format/oci/media-types.js";
import { addon } from "#src/native/addon.js";
import { DockerRegistry, findProgram, NO_DOCKER_REGISTRY } from "../support/docker-registry.ts";
import { fixturePath, readFixture, readJsonLines } from "../support/fixtures.ts";
import { made } from "../support/golden-images.ts";
import { MountFolder } from "../support/mount-folder.ts";
import { comparable, skipFuse } from "../support/mounted-image.ts";
import { readByAll } from "../support/read-by-all.ts";
import { type GoldenRow, recordedTimes } from "../support/recorded-times.ts";
import { runCommand } from "../support/run-command.ts";
import { plainLayer, type SourceImage, writeSourceImage } from "../support/source-image.ts";
import { temporaryDirectory } from "../support/temporary-directory.ts";

/** Where a case may put things. */
interface Places {
  readonly folder: string;
  /** `HOST:PORT` of a registry. */
  readonly registry: string;
}

interface Case {
  readonly name: string;
  /** Makes the source and gives its IMAGE. */
  readonly source: (places: Places) => Promise<string>;
  readonly target: (places: Places) => string;
  readonly options: readonly string[];
  readonly expected: () => GoldenRow[];
}

const layer = (number: number): Uint8Array => readFixture("golden", "made", `layer${number}.tar`);
const tree = (): GoldenRow[] => recordedTimes(readJsonLines("golden", "made", "tree.jsonl"));
const gzip = (tar: Uint8Array, mediaType: string) => ({ stored: gzipSync(tar), tar, mediaType });
const zstd = (tar: Uint8Array) => ({ stored: compress(tar), tar, mediaType: OCI_LAYER_ZSTD });
const treeTar = (): Uint8Array => decompress(readFixture("golden", "made", "tree.tar.zst"));

/** The four golden layers, each compressed in its own way. */
const FOUR_LAYERS: SourceImage = {
  layers: [
    gzip(layer(1), OCI_LAYER_GZIP),
    zstd(layer(2)),
    plainLayer(layer(3)),
    gzip(layer(4), OCI_LAYER_GZIP),
  ],
};

const FOUR_DOCKER_LAYERS: SourceImage = {
  layers: [1, 2, 3, 4].map((number) => gzip(layer(number), DOCKER_LAYER_GZIP)),
  manifestType: DOCKER_MANIFEST,
  configType: DOCKER_CONFIG,
};

async function write(target: string, image: SourceImage): Promise<string> {
  await using access = await ImageAccess.create({ environment: {} });
  await using place = access.openTarget(target);
  await writeSourceImage(place, image);
  return target;
}

/** An archive that skopeo makes of the four layers. Docker's format has no zstd. */
async function archiveOfSkopeo(kind: string, { folder }: Places): Promise<string> {
  const plain = { layers: [1, 2, 3, 4].map((number) => plainLayer(layer(number))) };
  const layout = await write(`oci:${folder}/layers:v1`, kind === "docker-archive" ? plain : FOUR_LAYERS);
  const archive = `${kind}:${folder}/source.tar`;
  execFileSync("skopeo", ["--insecure-policy", "copy", "--quiet", layout, `${archive}:some/layers:v1`]);
  return archive;
}

/** The golden tree on the disk: unpacked by GNU tar, and what the tar lacks made by hand. */
function unpackTree({ folder }: Places): string {
  const root = join(folder, "tree");
  mkdirSync(root);
  const flags = ["--xattrs", "--xattrs-include=*", "--numeric-owner", "--warning=none", "-xpC", root];
  execFileSync("tar", flags, { input: treeTar() });
  linkSync(join(root, "links/hsym1"), join(root, "links/hsym2"));
  writeFileSync(join(root, "names/new\nline"), "new\nline");
  addon()?.mknod(join(root, "special/sock"), SOCKET_MODE, 0, 0);
  chmodSync(join(root, "special/sock"), 0o755);
  const times = new Map(tree().map(({ path, mtimeNs }) => [path, Number(BigInt(mtimeNs) / 1_000_000_000n)]));
  for (const path of [...NOT_IN_TAR, "links", "names", "special"]) {
    const time = { seconds: times.get(path) ?? 0, nanoseconds: 0 };
    addon()?.lutimens(join(root, path), time, time);
  }
  return root;
}

/** Made for a tool that cannot take these, see fixtures/golden/README. */
const NOT_IN_TAR = ["links/hsym2", "names/new\nline", "special/sock"];
const SOCKET_MODE = 0o140755;

/** layer1.tar has a header for the root, whose time umoci's later writes into the root changed. */
const ROOT_TIME = "1700000000000000000";

function layersUpTo(last: number): GoldenRow[] {
  const rows = recordedTimes(readJsonLines("golden", "made", `layers-1-${last}.jsonl`));
  return rows.map((row) => (row.path === "." ? { ...row, mtimeNs: ROOT_TIME } : row));
}

function treeOfTar(): GoldenRow[] {
  return tree()
    .filter(({ path }) => !NOT_IN_TAR.includes(path))
    .map((row) => {
      if (row.path !== "links/hsym1") return row;
      const { link: _, ...alone } = row as GoldenRow & { link: string };
      return { ...alone, nlink: 1 };
    });
}

const CASES: readonly Case[] = [
  {
    name: "three layers of a layout, to an archive",
    source: async () => `oci:${fixturePath("golden", "nydusify", "source")}:v1`,
    target: ({ folder }) => `oci-archive:${folder}/out.tar:nydus`,
    options: ["--compressor", "zstd", "--compression-level", "10"],
    expected: () => layersUpTo(3),
  },
  {
    name: "four layers, each compressed in its own way, from layout to registry",
    source: ({ folder }) => write(`oci:${folder}/source:v1`, FOUR_LAYERS),
    target: ({ registry }) => `docker://${registry}/ours/mixed:nydus`,
    options: ["--compressor", "lz4_block", "--chunk-size", "4KiB", "--digester", "sha256"],
    expected: () => layersUpTo(4),
  },
  {
    name: "four layers under a Docker manifest, from registry to registry",
    source: ({ registry }) => write(`docker://${registry}/theirs/docker:v1`, FOUR_DOCKER_LAYERS),
    target: ({ registry }) => `${registry}/ours/docker:nydus`,
    options: ["--compressor", "none"],
    expected: () => layersUpTo(4),
  },
  {
    name: "four layers of an OCI archive that skopeo made, to an archive",
    source: (places) => archiveOfSkopeo("oci-archive", places),
    target: ({ folder }) => `oci-archive:${folder}/out.tar`,
    options: ["--compressor", "lz4_block", "--jobs", "1"],
    expected: () => layersUpTo(4),
  },
  {
    name: "four layers of a Docker archive that skopeo made, to a layout",
    source: (places) => archiveOfSkopeo("docker-archive", places),
    target: ({ folder }) => `oci:${folder}/out:nydus`,
    options: ["--chunk-size", "16MiB"],
    expected: () => layersUpTo(4),
  },
  {
    name: "the golden tree in one layer, to a layout",
    source: ({ folder }) => write(`oci:${folder}/source:v1`, { layers: [zstd(treeTar())] }),
    target: ({ folder }) => `oci:${folder}/out:nydus`,
    options: ["--compressor", "lz4_block", "--chunk-size", "64KiB"],
    expected: treeOfTar,
  },
  {
    name: "the golden tree in a directory, to a layout",
    source: async (places) => `dir:${unpackTree(places)}`,
    target: ({ folder }) => `oci:${folder}/out:nydus`,
    options: ["--compressor", "zstd", "--digester", "sha256"],
    expected: tree,
  },
];

const skip =
  skipFuse ||
  NO_DOCKER_REGISTRY ||
  (addon() === undefined && "reading xattrs needs the native addon") ||
  (["skopeo", "fsck.erofs", "tar"].find((name) => !findProgram(name))?.concat(" is not installed") ?? false);

describe("what nydus-convert makes of", { skip, concurrency: 2 }, () => {
  let registry: DockerRegistry;
  before(async () => {
    registry = await DockerRegistry.start();
  });
  after(() => registry[Symbol.asyncDispose]());

  for (const { name, source, target, options, expected } of CASES) {
    it(`${name}, is the same to our FUSE mount, the kernel's EROFS and fsck.erofs`, async (context) => {
      await using directory = await temporaryDirectory();
      const places = { folder: directory.path, registry: registry.host };
      const image = target(places);
      const { status, stderr } = await runCommand("nydus-convert", [await source(places), image, ...options]);
      assert.deepEqual({ status, stderr }, { status: 0, stderr: "" });

      const { fuse, erofs, mounted, fsck } = await readByAll(image);
      assert.deepEqual(comparable(fuse), expected());
      assert.equal(fsck.status, 0, fsck.output);
      if (erofs === undefined) return context.skip(mounted);
      assert.match(mounted, /, engine erofs: every blob is complete in the cache, /);
      assert.deepEqual(comparable(erofs), expected());
    });
  }

  it("a directory on a filesystem without xattrs, is the same", async () => {
    await using folder = new MountFolder();
    // Nothing in this image has any: the mount does not know the calls.
    await folder.mount([...made("layer3").args, "--engine", "fuse"]);
    const image = `oci:${folder.path}/out:nydus`;
    const { status, stderr } = await runCommand("nydus-convert", [`dir:${folder.mountpoint}`, image]);
    assert.deepEqual({ status, stderr }, { status: 0, stderr: "" });
    const { fuse } = await readByAll(image);
    assert.deepEqual(
      comparable(fuse),
      recordedTimes(readJsonLines("golden", "made", "layer3", "nydusd.jsonl")),
    );
  });
});
