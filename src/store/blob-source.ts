/** What a read may cost and who asks for it. */
export interface ReadOptions {
  readonly signal: AbortSignal;
}

/** A place that has blobs, by ranges of their stored bytes. */
export interface BlobSource {
  /** For messages and metrics: `registry registry.example/app`, `directory /srv/blobs`. */
  readonly name: string;

  /**
   * Reads exactly `length` bytes from `offset` of a blob. The bytes are not verified.
   *
   * @param blobId 64 hex digits.
   * @throws {CodedError} ERR_BLOB_NOT_FOUND when the place does not have the blob,
   *   ERR_SOURCE_UNAVAILABLE when it does not answer, ERR_BLOB_CORRUPT when the blob ends before
   *   `offset + length`, ERR_ABORTED when the signal fired.
   */
  read(blobId: string, offset: number, length: number, options: ReadOptions): Promise<Uint8Array>;

  /**
   * Bytes of the blob file.
   *
   * @throws {CodedError} as {@link BlobSource.read}.
   */
  size(blobId: string, options: ReadOptions): Promise<number>;
}
