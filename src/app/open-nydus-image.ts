import { basename } from "node:path";
import { isBlobId } from "../base/digest.ts";
import { CodedError } from "../base/errors.ts";
import { digestChunk } from "../codec/digest.ts";
import type { Platform } from "../format/oci/descriptor.ts";
import { platformOfHost } from "../format/oci/platform.ts";
import { PLACEHOLDER_BLOB_ID } from "../format/rafs/blob-record.ts";
import type { Bootstrap } from "../image/bootstrap.ts";
import { BOOTSTRAP_LIMITS } from "../image/bootstrap-limits.ts";
import { readBootstrap } from "../image/bootstrap-reader.ts";
import { BlobDirectories } from "../layout/blob-directories.ts";
import { openStoredFile, readStored } from "../layout/stored-file.ts";
import type { ImageSource } from "../store/image-source.ts";
import { NydusImage } from "./nydus-image.ts";
import { readBootstrapLayer } from "./read-bootstrap-layer.ts";
import { selectNydusManifest } from "./select-nydus-manifest.ts";

/** A bare image in Nydus files. */
export interface BootstrapFile {
  /** The file of the bootstrap. */
  readonly bootstrap: string;
  /** Directories that hold the blobs, each in a file named by its id. */
  readonly blobDirs: readonly string[];
  /** Id of the blob that the bootstrap was inlined in. @default the bootstrap's file name up to its first dot */
  readonly blobId?: string;
}

export interface OpenNydusOptions {
  readonly signal: AbortSignal;
  /** Which image of an index is wanted. @default that of the host */
  readonly platform?: Platform;
  /** Accept images whose chunks cannot be read, for what is only about metadata. @default false */
  readonly allowUnsupported?: boolean;
}

/**
 * Opens a Nydus image: reads manifest and bootstrap, no blob yet.
 *
 * @param where An image source stays the caller's to dispose, and must live as long as the image.
 * @throws {CodedError} ERR_IMAGE_INVALID when it is no Nydus image, ERR_BOOTSTRAP_CORRUPT,
 *   ERR_FEATURE_UNSUPPORTED naming the feature, ERR_OPTION_INVALID for a blob id that is missing or none,
 *   ERR_LIMIT_EXCEEDED, and what the source throws.
 */
export async function openNydusImage(
  where: ImageSource | BootstrapFile,
  options: OpenNydusOptions,
): Promise<NydusImage> {
  return "bootstrap" in where ? openBootstrapFile(where, options) : openFromSource(where, options);
}

async function openFromSource(source: ImageSource, options: OpenNydusOptions): Promise<NydusImage> {
  const platform = options.platform ?? platformOfHost(process.platform, process.arch);
  const selected = await selectNydusManifest(source, platform, options);
  const layer = source.openBlob(selected.bootstrapLayer, options);
  const { bootstrap: bytes, metaFiles } = await readBootstrapLayer(
    layer,
    `bootstrap layer of ${source.name}`,
  );
  return new NydusImage({
    name: source.name,
    bootstrap: parse(bytes, options, undefined),
    bootstrapBytes: bytes,
    source: source.blobs,
    metaFiles,
    selected,
    resources: undefined,
  });
}

async function openBootstrapFile(where: BootstrapFile, options: OpenNydusOptions): Promise<NydusImage> {
  if (where.blobId !== undefined && !isBlobId(where.blobId)) {
    throw new CodedError(
      "ERR_OPTION_INVALID",
      `blob id must be 64 hex digits, got ${JSON.stringify(where.blobId)}`,
    );
  }
  const bytes = await readBootstrapFile(where.bootstrap);
  const ownName = basename(where.bootstrap).replace(/\..*$/s, "");
  const blobId = where.blobId ?? (isBlobId(ownName) ? ownName : undefined);
  const bootstrap = parse(bytes, options, blobId);
  if (bootstrap.blobs.some(({ id }) => id === PLACEHOLDER_BLOB_ID)) {
    throw new CodedError(
      "ERR_OPTION_INVALID",
      `bootstrap ${where.bootstrap} was inlined in a blob whose id is neither given nor its file name`,
    );
  }
  const directories = new BlobDirectories(where.blobDirs);
  return new NydusImage({
    name: where.bootstrap,
    bootstrap,
    bootstrapBytes: bytes,
    source: directories,
    metaFiles: new Map(),
    selected: undefined,
    resources: directories,
  });
}

function parse(bytes: Uint8Array, options: OpenNydusOptions, blobId: string | undefined): Bootstrap {
  return readBootstrap(bytes, {
    allowUnsupported: options.allowUnsupported ?? false,
    digest: digestChunk,
    ...(blobId !== undefined && { blobId }),
  });
}

async function readBootstrapFile(path: string): Promise<Uint8Array> {
  const file = await openStoredFile(path);
  if (file === undefined) throw new CodedError("ERR_IMAGE_NOT_FOUND", `bootstrap ${path} is not there`);
  try {
    if (file.size > BOOTSTRAP_LIMITS.size) {
      throw new CodedError(
        "ERR_LIMIT_EXCEEDED",
        `bootstrap ${path} has ${file.size} bytes, at most ${BOOTSTRAP_LIMITS.size}`,
      );
    }
    return await readStored(file, 0, file.size, `bootstrap ${path}`, "ERR_BOOTSTRAP_CORRUPT");
  } finally {
    await file.handle.close();
  }
}
