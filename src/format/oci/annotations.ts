import type { Descriptor } from "./descriptor.ts";
import { NYDUS_MANIFEST_ARTIFACT } from "./media-types.ts";

/** Tag of a manifest in the index.json of an OCI layout. */
export const REF_NAME = "org.opencontainers.image.ref.name";

/** `"true"` on every layer that is a Nydus blob. */
export const NYDUS_BLOB_LAYER = "containerd.io/snapshot/nydus-blob";
/** `"true"` on the last layer, the tar with the bootstrap. */
export const NYDUS_BOOTSTRAP_LAYER = "containerd.io/snapshot/nydus-bootstrap";
/** `"5"` or `"6"`, on the bootstrap layer and on the manifest. */
export const NYDUS_FS_VERSION = "containerd.io/snapshot/nydus-fs-version";
/** Digest of the manifest that was converted. */
export const NYDUS_SOURCE_DIGEST = "containerd.io/snapshot/nydus-source-digest";
/** Name of the image that was converted. */
export const NYDUS_SOURCE_REFERENCE = "containerd.io/snapshot/nydus-source-reference";

/** Feature of an index row's platform by which older tools marked a Nydus manifest. */
export const NYDUS_OS_FEATURE = "nydus.remoteimage.v1";

/** True for a layer that is a Nydus blob. */
export function isNydusBlobLayer(layer: Descriptor): boolean {
  return layer.annotations?.[NYDUS_BLOB_LAYER] === "true";
}

/** True for the layer that holds the bootstrap of a Nydus image. */
export function isNydusBootstrapLayer(layer: Descriptor): boolean {
  return layer.annotations?.[NYDUS_BOOTSTRAP_LAYER] === "true";
}

/** True when a row of an index says that its manifest is the Nydus form of an image. */
export function isNydusManifestRow(row: Descriptor): boolean {
  return (
    row.artifactType === NYDUS_MANIFEST_ARTIFACT ||
    (row.platform?.["os.features"]?.includes(NYDUS_OS_FEATURE) ?? false)
  );
}
