import type { ByteString } from "../base/bytes.ts";
import { digestHex } from "../base/digest.ts";
import { encodeImageConfig } from "../format/oci/image-config.ts";
import { encodeManifest } from "../format/oci/manifest.ts";
import { writeBootstrap } from "../image/bootstrap-writer.ts";
import type { Directory, Inode } from "../image/tree.ts";
import type { StoredManifest } from "../store/image-source.ts";
import { digestOf } from "../store/verified-stream.ts";
import { type BlobMeta, openFile, writeBootstrapLayer } from "./bootstrap-layer.ts";
import type { CheckedConvertOptions } from "./convert-options.ts";
import type { ImageReport, LayerReport } from "./convert-report.ts";
import {
  blobLayer,
  bootstrapLayer,
  convertedConfig,
  convertedManifest,
  type Provenance,
} from "./converted-manifest.ts";
import { type ImagePlan, platformName } from "./image-plan.ts";
import type { PooledLayer } from "./layer-pool.ts";
import { mergeLayers } from "./merge-layers.ts";
import type { PublishedImage } from "./publish.ts";
import type { ReadBackBlob } from "./read-back-blob.ts";
import type { SharedSize } from "./shared-chunks.ts";
import { verifyBootstrap } from "./verify-image.ts";

/** A converted image that is ready to be published. */
export interface AssembledImage {
  readonly published: PublishedImage;
  readonly report: ImageReport;
  /** Bytes of manifest, configuration and layers. */
  readonly size: number;
}

/** Where to write and what to say of the source. */
export interface AssembleOptions {
  readonly convert: CheckedConvertOptions;
  /** Path of the bootstrap layer's file, which must not exist. */
  readonly bootstrapPath: string;
  readonly sourceReference: string | undefined;
  readonly signal: AbortSignal;
  /** Told of every prefetch path that leads nowhere. */
  readonly onUnmatchedPrefetch: (path: ByteString) => void;
}

/**
 * Lays the layers over each other and writes the merged bootstrap, the configuration and the manifest.
 *
 * @param layers By the layers of the plan.
 * @throws {CodedError} ERR_LAYER_INVALID, ERR_LIMIT_EXCEEDED, ERR_TARGET_IO, ERR_IMAGE_DIFFERS when the
 *   bootstrap, read again, is not what the layers say.
 */
export async function assembleImage(
  plan: ImagePlan,
  layers: readonly PooledLayer[],
  options: AssembleOptions,
): Promise<AssembledImage> {
  const { image, shared } = mergeLayers(layers, options.convert);
  for (const path of image.prefetch) if (!hasPath(image.root, path)) options.onUnmatchedPrefetch(path);
  const bootstrap = writeBootstrap(image).bytes;
  const readBacks = readBackBlobs(layers);
  if (readBacks !== undefined) verifyBootstrap("the merged bootstrap", bootstrap, image.root, readBacks);
  const bootstrapFile = await writeBootstrapLayer(
    options.bootstrapPath,
    bootstrap,
    blobMetas(layers),
    options.signal,
  );

  const files = layers.map(({ file }) => file);
  const configBytes = encodeImageConfig(convertedConfig(plan.config, files, bootstrapFile.diffId));
  const config = { mediaType: plan.configType, digest: digestOf(configBytes), size: configBytes.length };
  const lastLayer = bootstrapLayer(bootstrapFile, plan.manifestType);
  const blobLayers = files.map(blobLayer);
  const provenance: Provenance = {
    sourceDigest: plan.sourceDigest,
    sourceReference: options.sourceReference,
  };
  const bytes = encodeManifest(convertedManifest(plan, config, [...blobLayers, lastLayer], provenance));
  const manifest: StoredManifest = {
    descriptor: { mediaType: plan.manifestType, digest: digestOf(bytes), size: bytes.length },
    bytes,
  };
  const size = bytes.length + config.size + lastLayer.size + files.reduce((sum, file) => sum + file.size, 0);
  return {
    published: {
      layers: [
        ...files.map(({ path }, index) => ({
          descriptor: blobLayers[index] ?? lastLayer,
          open: () => openFile(path),
        })),
        { descriptor: lastLayer, open: () => openFile(bootstrapFile.path) },
      ],
      config: { descriptor: config, open: () => once(configBytes) },
      manifest,
    },
    report: {
      platform: platformName(plan),
      sourceDigest: plan.sourceDigest,
      digest: manifest.descriptor.digest,
      configDigest: config.digest,
      bootstrap: {
        digest: bootstrapFile.digest,
        size: bootstrapFile.size,
        decodedSize: bootstrap.length,
      },
      paths: countNames(image.root),
      layers: layers.map((layer, index) => layerReport(plan, layer, index, shared[index])),
    },
    size,
  };
}

/** Names of the tree, the root's included. */
function countNames(directory: Directory): number {
  let count = 1;
  // Depth is bounded by the length of a path, so recursion is safe.
  for (const inode of directory.children.values()) count += inode.type === "dir" ? countNames(inode) : 1;
  return count;
}

function hasPath(root: Directory, path: ByteString): boolean {
  let inode: Inode | undefined = root;
  for (const name of path.split("/")) {
    if (name !== "") inode = inode?.type === "dir" ? inode.children.get(name) : undefined;
  }
  return inode !== undefined;
}

function blobMetas(layers: readonly PooledLayer[]): BlobMeta[] {
  const metas = new Map<string, BlobMeta>();
  for (const { file } of layers) {
    const blobId = digestHex(file.digest);
    if (file.metaFile !== undefined) metas.set(blobId, { blobId, metaFile: file.metaFile });
  }
  return [...metas.values()];
}

/** The blobs read again, by id; nothing when verifying is off. */
function readBackBlobs(layers: readonly PooledLayer[]): Map<string, ReadBackBlob> | undefined {
  const blobs = new Map<string, ReadBackBlob>();
  for (const { file, readBack } of layers) {
    if (readBack === undefined) return undefined;
    blobs.set(digestHex(file.digest), readBack);
  }
  return blobs;
}

function layerReport(
  plan: ImagePlan,
  { file }: PooledLayer,
  index: number,
  shared: SharedSize = { count: 0, size: 0 },
): LayerReport {
  return {
    sourceDigest: plan.layers[index]?.digest,
    sourceSize: plan.layers[index]?.size ?? 0,
    digest: file.digest,
    size: file.size,
    chunks: file.blob?.chunkCount ?? 0,
    decodedSize: file.blob?.decodedSize ?? 0,
    duplicateChunks: file.duplicates.count,
    duplicateSize: file.duplicates.size,
    sharedChunks: shared.count,
    sharedSize: shared.size,
  };
}

async function* once(bytes: Uint8Array): AsyncGenerator<Uint8Array, void, undefined> {
  yield bytes;
}
