import { CodedError, isCoded } from "../base/errors.ts";
import type { Descriptor } from "../format/oci/descriptor.ts";
import { MAX_DOCUMENT_SIZE } from "../format/oci/limits.ts";
import { collectBytes, verifiedStream } from "./verified-stream.ts";

/**
 * Reads a document whole, its digest and size verified: what {@link ImageSource.readDocument} promises.
 *
 * @param open Opens the stored bytes; not called when the descriptor is over the limit.
 * @throws {CodedError} ERR_LIMIT_EXCEEDED over 8 MiB, ERR_DIGEST_MISMATCH, ERR_IMAGE_NOT_FOUND when the
 *   place does not have it, or what `open` throws.
 */
export async function readVerifiedDocument(
  descriptor: Descriptor,
  open: () => AsyncIterable<Uint8Array>,
  place: string,
): Promise<Uint8Array> {
  if (descriptor.size > MAX_DOCUMENT_SIZE) {
    throw new CodedError(
      "ERR_LIMIT_EXCEEDED",
      `document ${descriptor.digest} in ${place} has ${descriptor.size} bytes, at most ${MAX_DOCUMENT_SIZE} are read`,
    );
  }
  try {
    return await collectBytes(
      verifiedStream(open(), descriptor, place),
      MAX_DOCUMENT_SIZE,
      descriptor.digest,
    );
  } catch (cause) {
    if (!isCoded(cause, "ERR_BLOB_NOT_FOUND")) throw cause;
    throw new CodedError("ERR_IMAGE_NOT_FOUND", `${place} has no document ${descriptor.digest}`, { cause });
  }
}
