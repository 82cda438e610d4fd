import type { Digest } from "../base/digest.ts";
import {
  NYDUS_BLOB_LAYER,
  NYDUS_BOOTSTRAP_LAYER,
  NYDUS_FS_VERSION,
  NYDUS_SOURCE_DIGEST,
  NYDUS_SOURCE_REFERENCE,
} from "../format/oci/annotations.ts";
import type { Descriptor } from "../format/oci/descriptor.ts";
import { type ImageConfig, withLayers } from "../format/oci/image-config.ts";
import type { Manifest } from "../format/oci/manifest.ts";
import { DOCKER_LAYER_GZIP, DOCKER_MANIFEST, NYDUS_BLOB, OCI_LAYER_GZIP } from "../format/oci/media-types.ts";

/** Digest and bytes of a file. */
export interface Stored {
  readonly digest: Digest;
  readonly size: number;
}

const FS_VERSION = "6";

/** The layer of a manifest that is a blob. */
export function blobLayer(blob: Stored): Descriptor {
  return {
    mediaType: NYDUS_BLOB,
    digest: blob.digest,
    size: blob.size,
    annotations: { [NYDUS_BLOB_LAYER]: "true" },
  };
}

/** The last layer of a manifest, in the words of the source's kind of manifest. */
export function bootstrapLayer(layer: Stored, manifestType: string): Descriptor {
  return {
    mediaType: manifestType === DOCKER_MANIFEST ? DOCKER_LAYER_GZIP : OCI_LAYER_GZIP,
    digest: layer.digest,
    size: layer.size,
    annotations: { [NYDUS_BOOTSTRAP_LAYER]: "true", [NYDUS_FS_VERSION]: FS_VERSION },
  };
}

/** The source's configuration over the new layers; a blob's diff id is its own digest. */
export function convertedConfig(
  config: ImageConfig,
  blobs: readonly Stored[],
  bootstrapDiffId: Digest,
): ImageConfig {
  const diffIds = [...blobs.map(({ digest }) => digest), bootstrapDiffId];
  const added = { created_by: "Nydus Converter", comment: "Nydus Bootstrap Layer" };
  return withLayers(config, diffIds, [...config.history, added]);
}

/** What the annotations of a converted manifest say of its source. */
export interface Provenance {
  /** Digest of the source's manifest; absent for a directory. */
  readonly sourceDigest: Digest | undefined;
  /** `HOST/REPOSITORY:TAG`; absent when the source is not in a registry: a path is nobody else's business. */
  readonly sourceReference: string | undefined;
}

/** What the manifest of a converted image has of its source's. */
export interface ManifestForm {
  readonly manifestType: string;
  readonly artifactType?: string;
  /** Those of the source's manifest, kept. */
  readonly annotations: Readonly<Record<string, string>>;
}

/** The manifest of the converted image. */
export function convertedManifest(
  { manifestType, artifactType, annotations }: ManifestForm,
  config: Descriptor,
  layers: readonly Descriptor[],
  provenance: Provenance,
): Manifest {
  const { sourceDigest, sourceReference } = provenance;
  return {
    kind: "manifest",
    mediaType: manifestType,
    ...(artifactType !== undefined && { artifactType }),
    config,
    layers,
    annotations: {
      ...annotations,
      [NYDUS_FS_VERSION]: FS_VERSION,
      ...(sourceDigest !== undefined && { [NYDUS_SOURCE_DIGEST]: sourceDigest }),
      ...(sourceReference !== undefined && { [NYDUS_SOURCE_REFERENCE]: sourceReference }),
    },
  };
}
