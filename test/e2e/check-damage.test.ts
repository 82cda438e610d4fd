import assert from "node:assert/strict";
import { copyFile, readFile, rm, truncate, writeFile } from "node:fs/promises";
import { after, before, describe, it } from "node:test";
import { findBlobSections, SECTION_NAMES } from "#src/format/blob/blob-sections.js";
import { isNydusBootstrapLayer } from "#src/format/oci/annotations.js";
import { encodeImageConfig, type ImageConfig } from "#src/format/oci/image-config.js";
import { encodeManifest, type Manifest } from "#src/format/oci/manifest.js";
import type { ImageTarget } from "#src/store/image-source.js";
import type { ConvertedImage } from "../support/converted-image.ts";
import {
  type ConvertedPlace,
  openInFiles,
  openInLayout,
  openInRegistry,
} from "../support/converted-places.ts";
import { NO_DOCKER_REGISTRY } from "../support/docker-registry.ts";
import { fixturePath } from "../support/fixtures.ts";
import { madeBlob } from "../support/made-image.ts";
import { runCommand } from "../support/run-command.ts";

const signal = new AbortController().signal;
const SOURCE = `oci:${fixturePath("golden", "nydusify", "source")}:v1`;

/** What is done to an image, and what the check must say. */
interface Damage {
  readonly what: string;
  readonly status: 4 | 5;
  /** All of these are among the codes. */
  readonly codes: readonly string[];
  readonly do: (place: ConvertedPlace) => Promise<void>;
}

const blobsOf = ({ manifest }: ConvertedImage): string[] =>
  manifest.layers.filter((layer) => !isNydusBootstrapLayer(layer)).map(({ digest }) => digest);
const blobOf = (image: ConvertedImage, index = 0): string => blobsOf(image)[index] ?? "";

async function flip(path: string, offset: number): Promise<void> {
  const bytes = await readFile(path);
  const at = offset < 0 ? bytes.length + offset : offset;
  bytes[at] = (bytes[at] ?? 0) ^ 0x10;
  await writeFile(path, bytes);
}

async function flipInSection({ image, fileOf }: ConvertedPlace, name: string): Promise<void> {
  const path = fileOf(blobOf(image));
  const bytes = new Uint8Array(await readFile(path));
  const { sections } = await findBlobSections(bytes.length, async (at, length) =>
    bytes.subarray(at, at + length),
  );
  const section = sections.get(name);
  assert.ok(section !== undefined);
  await flip(path, section.offset + 20);
}

/** Damage to the files of blobs, which every place has. */
const BLOB_DAMAGES: readonly Damage[] = [
  {
    what: "a flipped byte in a chunk",
    status: 4,
    codes: ["ERR_CHUNK_CORRUPT", "ERR_DIGEST_MISMATCH"],
    do: ({ image, fileOf }) => flip(fileOf(blobOf(image)), 100),
  },
  ...[
    SECTION_NAMES.CHUNK_INFORMATION,
    SECTION_NAMES.CHUNK_INFORMATION_HEADER,
    SECTION_NAMES.DIGESTS,
    SECTION_NAMES.BOOTSTRAP,
  ].map(
    (name): Damage => ({
      what: `a flipped byte in ${name}`,
      status: 4,
      codes: [],
      do: (place) => flipInSection(place, name),
    }),
  ),
  {
    what: "a flipped byte in the table of contents",
    status: 4,
    codes: ["ERR_DIGEST_MISMATCH"],
    do: ({ image, fileOf }) => flip(fileOf(blobOf(image)), -512 - 10),
  },
  {
    what: "a blob that is cut off",
    status: 4,
    codes: ["ERR_BLOB_CORRUPT"],
    do: ({ image, fileOf }) => truncate(fileOf(blobOf(image)), 5000),
  },
  {
    what: "a missing blob",
    status: 5,
    codes: ["ERR_BLOB_NOT_FOUND"],
    do: ({ image, fileOf }) => rm(fileOf(blobOf(image))),
  },
  {
    what: "one blob in the place of another",
    status: 4,
    codes: ["ERR_BLOB_CORRUPT"],
    do: ({ image, fileOf }) => copyFile(fileOf(blobOf(image, 1)), fileOf(blobOf(image, 0))),
  },
];

/** Damage to manifest, configuration and bootstrap layer as they are stored. */
const DOCUMENT_DAMAGES: readonly Damage[] = [
  {
    what: "a flipped byte in the configuration",
    status: 4,
    codes: ["ERR_DIGEST_MISMATCH"],
    do: ({ image, fileOf }) => flip(fileOf(image.manifest.config.digest), 30),
  },
  {
    what: "a missing configuration",
    status: 5,
    codes: ["ERR_IMAGE_NOT_FOUND"],
    do: ({ image, fileOf }) => rm(fileOf(image.manifest.config.digest)),
  },
  {
    what: "a flipped byte in the bootstrap layer",
    status: 4,
    codes: [],
    do: ({ image, fileOf }) => flip(fileOf(image.manifest.layers.at(-1)?.digest ?? ""), 200),
  },
  {
    what: "a missing bootstrap layer",
    status: 5,
    codes: ["ERR_BLOB_NOT_FOUND"],
    do: ({ image, fileOf }) => rm(fileOf(image.manifest.layers.at(-1)?.digest ?? "")),
  },
];

/** An image whose digests are all right, but which says something wrong. */
const LIES: readonly {
  readonly what: string;
  readonly config?: (config: ImageConfig) => ImageConfig["document"];
  readonly manifest?: (manifest: Manifest) => Manifest;
  readonly code: string;
}[] = [
  {
    what: "two diff ids in the place of each other",
    config: ({ document, diffIds }) => ({
      ...document,
      rootfs: { type: "layers", diff_ids: [diffIds[1], diffIds[0], ...diffIds.slice(2)] },
    }),
    code: "ERR_IMAGE_INVALID",
  },
  {
    what: "another diff id of the bootstrap layer",
    config: ({ document, diffIds }) => ({
      ...document,
      rootfs: { type: "layers", diff_ids: [...diffIds.slice(0, -1), diffIds[0]] },
    }),
    code: "ERR_IMAGE_INVALID",
  },
  {
    what: "a diff id too few",
    config: ({ document, diffIds }) => ({
      ...document,
      rootfs: { type: "layers", diff_ids: diffIds.slice(1) },
    }),
    code: "ERR_IMAGE_INVALID",
  },
  {
    what: "no architecture",
    config: ({ document: { architecture: _, ...document } }) => document,
    code: "ERR_IMAGE_INVALID",
  },
  {
    what: "another command than the original",
    config: ({ document }) => ({ ...document, config: { Cmd: ["/bin/other"] } }),
    code: "ERR_IMAGE_DIFFERS",
  },
  {
    what: "another history than the original",
    config: ({ document, history }) => ({ ...document, history: [...history].reverse() }),
    code: "ERR_IMAGE_DIFFERS",
  },
  {
    what: "two layers in the place of each other",
    manifest: (manifest) => {
      const [first, second, ...rest] = manifest.layers;
      assert.ok(first !== undefined && second !== undefined);
      return { ...manifest, layers: [second, first, ...rest] };
    },
    code: "ERR_IMAGE_INVALID",
  },
  {
    what: "a layer less than the bootstrap uses",
    manifest: (manifest) => ({ ...manifest, layers: manifest.layers.slice(1) }),
    code: "ERR_IMAGE_INVALID",
  },
];

async function check(args: readonly string[]): Promise<{ status: number | null; codes: string[] }> {
  const { status, stdout, stderr } = await runCommand("nydus-convert", [
    "check",
    ...args,
    "--platform",
    "linux/amd64",
    "--json",
  ]);
  const codes = `${stdout}${stderr}`
    .split("\n")
    .filter((line) => line !== "")
    .map((line) => JSON.parse(line) as { type: string; code: string; severity?: string })
    .filter(({ type, severity }) => type === "error" || (type === "finding" && severity === "error"))
    .map(({ code }) => code);
  return { status, codes };
}

/** Writes the image again, changed, with digests that fit. */
async function writeLie(
  target: ImageTarget,
  image: ConvertedImage,
  lie: (typeof LIES)[number],
): Promise<void> {
  const document = lie.config?.(image.config) ?? image.config.document;
  const config = madeBlob(encodeImageConfig({ ...image.config, document }), image.manifest.config.mediaType);
  const manifest = lie.manifest?.(image.manifest) ?? image.manifest;
  await target.writeBlob(
    config.descriptor,
    async function* () {
      yield config.bytes;
    },
    { signal },
  );
  const bytes = encodeManifest({ ...manifest, config: config.descriptor });
  await target.writeManifest(madeBlob(bytes, manifest.mediaType), true, { signal });
}

/** Puts every file back that a damage changed. */
async function whileDamaged<Result>(
  place: ConvertedPlace,
  damage: Damage,
  action: () => Promise<Result>,
): Promise<Result> {
  const { config, layers } = place.image.manifest;
  const paths = [config, ...layers].map(({ digest }) => place.fileOf(digest));
  const kept = await Promise.all(paths.map((path) => readFile(path)));
  try {
    await damage.do(place);
    return await action();
  } finally {
    await Promise.all(paths.map((path, index) => writeFile(path, kept[index] ?? "")));
  }
}

function describeDamage(name: string, open: () => Promise<ConvertedPlace>, damages: readonly Damage[]): void {
  describe(`nydus-convert check of an image ${name}`, () => {
    let place: ConvertedPlace;
    before(async () => {
      place = await open();
    });
    after(() => place[Symbol.asyncDispose]());

    it("finds nothing in a sound one", async () => {
      assert.deepEqual(await check([...place.args, "--source", SOURCE]), { status: 0, codes: [] });
    });

    for (const damage of damages) {
      it(`exits ${damage.status} for ${damage.what}`, async () => {
        const { status, codes } = await whileDamaged(place, damage, () => check(place.args));
        assert.deepEqual(
          { status, missing: damage.codes.filter((code) => !codes.includes(code)) },
          {
            status: damage.status,
            missing: [],
          },
        );
        assert.ok(codes.length > 0);
      });
    }
  });
}

function describeLies(name: string, open: () => Promise<ConvertedPlace>): void {
  describe(`nydus-convert check of an image ${name} whose digests fit`, () => {
    let place: ConvertedPlace;
    before(async () => {
      place = await open();
    });
    after(() => place[Symbol.asyncDispose]());

    for (const lie of LIES) {
      it(`finds ${lie.what}`, async () => {
        assert.ok(place.other !== undefined);
        await using target = place.other.target();
        await writeLie(target, place.image, lie);
        const { status, codes } = await check([place.other.name, "--source", SOURCE]);
        assert.equal(status, 4);
        assert.ok(codes.includes(lie.code), codes.join(", "));
      });
    }
  });
}

describeDamage("in an OCI layout", openInLayout, [...BLOB_DAMAGES, ...DOCUMENT_DAMAGES]);
describeDamage("in files", openInFiles, BLOB_DAMAGES);
describeLies("in an OCI layout", openInLayout);
if (NO_DOCKER_REGISTRY) it("checks an image in docker-registry", { skip: NO_DOCKER_REGISTRY });
else {
  describeDamage("in docker-registry", openInRegistry, [...BLOB_DAMAGES, ...DOCUMENT_DAMAGES]);
  describeLies("in docker-registry", openInRegistry);
}
