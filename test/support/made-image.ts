import { createHash, randomBytes } from "node:crypto";
import type { Digest } from "#src/base/digest.js";
import type { Descriptor, Platform } from "#src/format/oci/descriptor.js";
import { encodeJson } from "#src/format/oci/json.js";
import { encodeManifest } from "#src/format/oci/manifest.js";
import { OCI_CONFIG, OCI_INDEX, OCI_LAYER_TAR, OCI_MANIFEST } from "#src/format/oci/media-types.js";
import type { StoredManifest } from "#src/store/image-source.js";

/** Bytes with their descriptor. */
export interface MadeBlob {
  readonly descriptor: Descriptor;
  readonly bytes: Uint8Array;
}

/** A small image whose layers are bytes of no meaning. */
export interface MadeImage {
  readonly manifest: StoredManifest;
  readonly config: MadeBlob;
  readonly layers: readonly MadeBlob[];
}

/** The digest of bytes. */
export function sha256Of(bytes: Uint8Array): Digest {
  return `sha256:${createHash("sha256").update(bytes).digest("hex")}`;
}

/** Bytes with the descriptor that names them. */
export function madeBlob(bytes: Uint8Array, mediaType = OCI_LAYER_TAR): MadeBlob {
  return { descriptor: { mediaType, digest: sha256Of(bytes), size: bytes.length }, bytes };
}

/** An image with one layer of random bytes for each size. */
export function madeImage(sizes: readonly number[], platform: Platform): MadeImage {
  const layers = sizes.map((size) => madeBlob(randomBytes(size)));
  const config = madeBlob(
    encodeJson({
      architecture: platform.architecture,
      os: platform.os,
      rootfs: { type: "layers", diff_ids: layers.map((layer) => layer.descriptor.digest) },
    }),
    OCI_CONFIG,
  );
  const bytes = encodeManifest({
    kind: "manifest",
    mediaType: OCI_MANIFEST,
    config: config.descriptor,
    layers: layers.map((layer) => layer.descriptor),
  });
  return { manifest: madeBlob(bytes, OCI_MANIFEST), config, layers };
}

/** An index over images. */
export function madeIndex(images: readonly { image: MadeImage; platform: Platform }[]): StoredManifest {
  const manifests = images.map(({ image, platform }) => ({ ...image.manifest.descriptor, platform }));
  return madeBlob(encodeManifest({ kind: "index", mediaType: OCI_INDEX, manifests }), OCI_INDEX);
}
