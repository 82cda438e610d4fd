import type { Descriptor, Platform } from "#src/format/oci/descriptor.js";
import { encodeJson } from "#src/format/oci/json.js";
import { encodeManifest } from "#src/format/oci/manifest.js";
import { OCI_CONFIG, OCI_INDEX, OCI_LAYER_TAR, OCI_MANIFEST } from "#src/format/oci/media-types.js";
import type { ImageTarget } from "#src/store/image-source.js";
import { type MadeBlob, madeBlob, sha256Of } from "./made-image.ts";

const signal = new AbortController().signal;

/** A source image to write: its layers as stored, and what may be wrong with it. */
export interface SourceImage {
  readonly layers: readonly {
    readonly stored: Uint8Array;
    readonly tar: Uint8Array;
    readonly mediaType?: string;
  }[];
  readonly platform?: Platform;
  readonly diffIds?: readonly string[];
  readonly layerType?: string;
  readonly manifestType?: string;
  readonly configType?: string;
}

/** A layer that is stored as it is. */
export function plainLayer(tar: Uint8Array): SourceImage["layers"][number] {
  return { stored: tar, tar };
}

/** Writes an image and gives it the target's name. */
export async function writeSourceImage(target: ImageTarget, image: SourceImage): Promise<Descriptor> {
  const descriptor = await writeUnnamed(target, image, true);
  return descriptor;
}

/** Writes images under one index. */
export async function writeSourceIndex(
  target: ImageTarget,
  images: readonly (SourceImage & { readonly platform: Platform })[],
): Promise<Descriptor> {
  const manifests: Descriptor[] = [];
  for (const image of images) {
    manifests.push({ ...(await writeUnnamed(target, image, false)), platform: image.platform });
  }
  const index = madeBlob(encodeManifest({ kind: "index", mediaType: OCI_INDEX, manifests }), OCI_INDEX);
  await target.writeManifest(index, true, { signal });
  return index.descriptor;
}

async function writeUnnamed(target: ImageTarget, image: SourceImage, isTop: boolean): Promise<Descriptor> {
  const layers = image.layers.map(({ stored, mediaType }) => madeBlob(stored, mediaType ?? OCI_LAYER_TAR));
  const { os = "linux", architecture = "amd64" } = image.platform ?? {};
  const diffIds = image.diffIds ?? image.layers.map(({ tar }) => sha256Of(tar));
  const config = madeBlob(
    encodeJson({ architecture, os, rootfs: { type: "layers", diff_ids: diffIds } }),
    image.configType ?? OCI_CONFIG,
  );
  for (const blob of [...layers, config])
    await target.writeBlob(blob.descriptor, () => once(blob), { signal });
  const mediaType = image.manifestType ?? OCI_MANIFEST;
  const bytes = encodeManifest({
    kind: "manifest",
    mediaType,
    config: config.descriptor,
    layers: layers.map(({ descriptor }) => descriptor),
  });
  const manifest = madeBlob(bytes, mediaType);
  await target.writeManifest(manifest, isTop, { signal });
  return manifest.descriptor;
}

async function* once({ bytes }: MadeBlob): AsyncGenerator<Uint8Array> {
  yield bytes;
}
