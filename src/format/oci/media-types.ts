/** Image manifest of OCI. */
export const OCI_MANIFEST = "application/vnd.oci.image.manifest.v1+json";
/** Image index of OCI. */
export const OCI_INDEX = "application/vnd.oci.image.index.v1+json";
/** Image configuration of OCI. */
export const OCI_CONFIG = "application/vnd.oci.image.config.v1+json";
/** Plain tar layer of OCI. */
export const OCI_LAYER_TAR = "application/vnd.oci.image.layer.v1.tar";
/** Gzipped layer of OCI. */
export const OCI_LAYER_GZIP = "application/vnd.oci.image.layer.v1.tar+gzip";
/** Zstandard layer of OCI. */
export const OCI_LAYER_ZSTD = "application/vnd.oci.image.layer.v1.tar+zstd";

/** Image manifest of Docker schema 2. */
export const DOCKER_MANIFEST = "application/vnd.docker.distribution.manifest.v2+json";
/** Manifest list of Docker schema 2. */
export const DOCKER_INDEX = "application/vnd.docker.distribution.manifest.list.v2+json";
/** Image configuration of Docker schema 2. */
export const DOCKER_CONFIG = "application/vnd.docker.container.image.v1+json";
/** Plain tar layer of Docker schema 2. */
export const DOCKER_LAYER_TAR = "application/vnd.docker.image.rootfs.diff.tar";
/** Gzipped layer of Docker schema 2. */
export const DOCKER_LAYER_GZIP = "application/vnd.docker.image.rootfs.diff.tar.gzip";
/** Zstandard layer that some builders write into Docker manifests. */
export const DOCKER_LAYER_ZSTD = "application/vnd.docker.image.rootfs.diff.tar.zstd";
/** Gzipped layer that registries do not hold: it lies at the descriptor's `urls`. */
export const DOCKER_LAYER_FOREIGN = "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip";

/** A blob of chunks with its chunk table, as Nydus packs a layer. */
export const NYDUS_BLOB = "application/vnd.oci.image.layer.nydus.blob.v1";
/** Configuration of a Nydus manifest that shares an index with the original image: no image to other readers. */
export const NYDUS_CONFIG = "application/vnd.nydus.image.config.v1+json";
/** Artifact type of a Nydus manifest that shares an index with the original image. */
export const NYDUS_MANIFEST_ARTIFACT = "application/vnd.nydus.image.manifest.v1+json";

const SCHEMA_1 = [
  "application/vnd.docker.distribution.manifest.v1+json",
  "application/vnd.docker.distribution.manifest.v1+prettyjws",
];

/** What a GET of a manifest accepts, best first. */
export const ACCEPTED_MANIFESTS: readonly string[] = [OCI_INDEX, OCI_MANIFEST, DOCKER_INDEX, DOCKER_MANIFEST];

/** How the tar of a layer is compressed. */
export type LayerCompression = "none" | "gzip" | "zstd";

const LAYERS: ReadonlyMap<string, LayerCompression> = new Map([
  [OCI_LAYER_TAR, "none"],
  [OCI_LAYER_GZIP, "gzip"],
  [OCI_LAYER_ZSTD, "zstd"],
  ["application/vnd.oci.image.layer.nondistributable.v1.tar", "none"],
  ["application/vnd.oci.image.layer.nondistributable.v1.tar+gzip", "gzip"],
  ["application/vnd.oci.image.layer.nondistributable.v1.tar+zstd", "zstd"],
  [DOCKER_LAYER_TAR, "none"],
  [DOCKER_LAYER_GZIP, "gzip"],
  [DOCKER_LAYER_ZSTD, "zstd"],
  ["application/vnd.docker.image.rootfs.foreign.diff.tar", "none"],
  [DOCKER_LAYER_FOREIGN, "gzip"],
]);

/** True for the media type of an image manifest, OCI or Docker. */
export function isManifestType(mediaType: string): boolean {
  return mediaType === OCI_MANIFEST || mediaType === DOCKER_MANIFEST;
}

/** True for the media type of an index or manifest list. */
export function isIndexType(mediaType: string): boolean {
  return mediaType === OCI_INDEX || mediaType === DOCKER_INDEX;
}

/** True for Docker schema 1, which names layers without sizes and is not read. */
export function isSchema1Type(mediaType: string): boolean {
  return SCHEMA_1.includes(mediaType);
}

/** How a tar layer of this media type is compressed; `undefined` when it is no tar layer. */
export function layerCompressionOf(mediaType: string): LayerCompression | undefined {
  return LAYERS.get(mediaType);
}
