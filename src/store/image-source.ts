import type { Descriptor } from "../format/oci/descriptor.ts";
import type { BlobSource, ReadOptions } from "./blob-source.ts";

/** A manifest or index as it is stored. */
export interface StoredManifest {
  readonly descriptor: Descriptor;
  /** Bytes whose digest is `descriptor.digest`. */
  readonly bytes: Uint8Array;
}

/** A repository of a registry. */
export interface Repository {
  /** `HOST` or `HOST:PORT`. */
  readonly registry: string;
  readonly name: string;
}

/** How a blob is written. */
export interface WriteOptions extends ReadOptions {
  /**
   * Where the blob is known to lie: a target in the same registry takes it from there (a mount) without opening the
   * bytes, when it may; any other target writes them. It is the `repository` of the source that the blob comes from.
   *
   * @default unknown
   */
  readonly mountFrom?: Repository | undefined;
}

/** A place to read one image from: a registry repository, an OCI layout, an archive. */
export interface ImageSource extends AsyncDisposable {
  /** The image as the user wrote it, for messages. */
  readonly name: string;
  /** The repository that has the image's blobs; `undefined` when it is in no registry. */
  readonly repository?: Repository;

  /**
   * The manifest or index that the image's name stands for.
   *
   * @throws {CodedError} ERR_IMAGE_NOT_FOUND, ERR_SOURCE_UNAVAILABLE, ERR_REGISTRY_DENIED.
   */
  resolve(options: ReadOptions): Promise<StoredManifest>;

  /**
   * A manifest, index or configuration by descriptor, at most 8 MiB, its digest and size verified.
   *
   * @throws {CodedError} ERR_DIGEST_MISMATCH, ERR_LIMIT_EXCEEDED, or as {@link ImageSource.resolve}.
   */
  readDocument(descriptor: Descriptor, options: ReadOptions): Promise<Uint8Array>;

  /**
   * Streams the stored bytes of a blob and fails at the end with ERR_DIGEST_MISMATCH when digest or
   * size is not the descriptor's. Nothing is buffered beyond one piece.
   */
  openBlob(descriptor: Descriptor, options: ReadOptions): AsyncIterable<Uint8Array>;

  /** Ranged reads of the same blobs. */
  readonly blobs: BlobSource;
}

/** A place to write one image to. Nothing is visible under the image's name before `writeManifest`. */
export interface ImageTarget extends AsyncDisposable {
  readonly name: string;

  /** True when the place has this blob already. */
  hasBlob(descriptor: Descriptor, options: ReadOptions): Promise<boolean>;

  /**
   * Writes a blob. A blob that exists already is left alone.
   *
   * @param open Opens the bytes; called again when the write is retried.
   * @throws {CodedError} ERR_TARGET_IO, ERR_SOURCE_UNAVAILABLE, ERR_REGISTRY_DENIED,
   *   ERR_DIGEST_MISMATCH when the bytes are not what the descriptor says.
   */
  writeBlob(
    descriptor: Descriptor,
    open: () => AsyncIterable<Uint8Array>,
    options: WriteOptions,
  ): Promise<void>;

  /**
   * Writes a manifest or index, and names it when `isTop` is true.
   *
   * @param isTop Whether this is what the image's name (tag) shall stand for.
   */
  writeManifest(manifest: StoredManifest, isTop: boolean, options: ReadOptions): Promise<void>;
}
