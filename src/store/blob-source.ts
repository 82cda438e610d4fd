/** Why bytes are read. A reader waits for `demand`; `prefetch` yields to it. */
export type FetchClass = "demand" | "prefetch";

/** What a read may cost and who asks for it. */
export interface ReadOptions {
  readonly signal: AbortSignal;
  /** @default "demand" */
  readonly class?: FetchClass;
}

/** How a range of a blob is read. */
export interface RangeOptions extends ReadOptions {
  /**
   * Memory for the bytes, exactly as long as the range. A place that reads into it gives it back, others give memory of
   * their own. What it holds when the read failed, or gave other memory, means nothing, and may change later.
   */
  readonly into?: Uint8Array;
}

/** A place that has blobs, by ranges of their stored bytes. */
export interface BlobSource {
  /** For messages and metrics: `registry registry.example/app`, `directory /srv/blobs`. */
  readonly name: string;
  /** Whether a second request for the same bytes may be answered sooner than a slow first one. @default false */
  readonly isHedgeable?: boolean;

  /**
   * Reads exactly `length` bytes from `offset` of a blob. The bytes are not verified.
   *
   * @param blobId 64 hex digits.
   * @throws {CodedError} ERR_BLOB_NOT_FOUND when the place does not have the blob,
   *   ERR_SOURCE_UNAVAILABLE when it does not answer, ERR_BLOB_CORRUPT when the blob ends before
   *   `offset + length`, ERR_ABORTED when the signal fired.
   */
  read(blobId: string, offset: number, length: number, options: RangeOptions): Promise<Uint8Array>;

  /**
   * Bytes of the blob file.
   *
   * @throws {CodedError} as {@link BlobSource.read}.
   */
  size(blobId: string, options: ReadOptions): Promise<number>;
}
