import type { GetObjectCommandOutput, S3Client } from "@aws-sdk/client-s3";
import { isBlobId } from "../base/digest.ts";
import { CodedError, isCoded } from "../base/errors.ts";
import type { BlobSource, RangeOptions, ReadOptions } from "../store/blob-source.ts";
import { gatherRange, rangeHeader } from "./ranged-body.ts";

/** Blobs in a bucket: each an object whose key is the prefix and the blob's id. */
export interface S3Location {
  readonly bucket: string;
  /** @default "" */
  readonly prefix?: string;
  /** URL of the server. @default Amazon's for the region */
  readonly endpoint?: string;
  /** @default that of the environment or the shared configuration, or us-east-1 */
  readonly region?: string;
  /** Whether the bucket is named in the path of URLs, not in the host. @default true with an endpoint */
  readonly usesPathStyle?: boolean;
}

/** Requests in all for one range, with waits between them. */
const MAX_ATTEMPTS = 5;

type Sdk = typeof import("@aws-sdk/client-s3");

/**
 * Blobs in S3 or what speaks its protocol. Credentials come from where the AWS SDK looks for them: environment, shared
 * files, the machine. The SDK is loaded with the first request, and alone tries again what failed.
 */
export class S3Source implements BlobSource, AsyncDisposable {
  readonly name: string;
  readonly isHedgeable = true;
  readonly #location: S3Location;
  #opened: Promise<{ readonly sdk: Sdk; readonly client: S3Client }> | undefined;

  constructor(location: S3Location) {
    this.name = `s3 ${location.bucket}/${location.prefix ?? ""}`;
    this.#location = location;
  }

  async read(blobId: string, offset: number, length: number, options: RangeOptions): Promise<Uint8Array> {
    const target = this.#target(blobId);
    if (length === 0) return new Uint8Array(0);
    const what = `blob ${blobId} from ${this.name}`;
    try {
      const { sdk, client } = await this.#open();
      const get = new sdk.GetObjectCommand({ ...target, Range: rangeHeader(offset, length) });
      const answer = await client.send(get, { abortSignal: options.signal });
      return await gatherRange(bodyOf(answer), answer.ContentRange, { what, offset, length }, options);
    } catch (error) {
      throw sourceError(error, what, options.signal);
    }
  }

  async size(blobId: string, { signal }: ReadOptions): Promise<number> {
    const target = this.#target(blobId);
    const what = `blob ${blobId} from ${this.name}`;
    try {
      const { sdk, client } = await this.#open();
      const head = await client.send(new sdk.HeadObjectCommand(target), { abortSignal: signal });
      if (head.ContentLength !== undefined) return head.ContentLength;
    } catch (error) {
      throw sourceError(error, what, signal);
    }
    throw new CodedError("ERR_REGISTRY_PROTOCOL", `${what} comes without a size`);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    (await this.#opened?.catch(() => undefined))?.client.destroy();
  }

  #target(blobId: string): { readonly Bucket: string; readonly Key: string } {
    const { bucket, prefix = "" } = this.#location;
    if (!isBlobId(blobId)) {
      throw new CodedError("ERR_BLOB_NOT_FOUND", `blob ${JSON.stringify(blobId)} is not in ${this.name}`);
    }
    return { Bucket: bucket, Key: `${prefix}${blobId}` };
  }

  #open(): Promise<{ readonly sdk: Sdk; readonly client: S3Client }> {
    const { endpoint, region, usesPathStyle = endpoint !== undefined } = this.#location;
    this.#opened ??= import("@aws-sdk/client-s3").then((sdk) => {
      const client = new sdk.S3Client({
        maxAttempts: MAX_ATTEMPTS,
        forcePathStyle: usesPathStyle,
        ...(endpoint !== undefined && { endpoint }),
        ...(region !== undefined ? { region } : endpoint !== undefined && { region: "us-east-1" }),
        // Digests of chunks prove more than a checksum that not every server knows.
        responseChecksumValidation: "WHEN_REQUIRED",
      });
      return { sdk, client };
    });
    return this.#opened;
  }
}

function bodyOf({ Body: body }: GetObjectCommandOutput): AsyncIterable<Uint8Array> {
  return body as unknown as AsyncIterable<Uint8Array>;
}

/** An error of the SDK in our codes. Its messages name no credential. */
function sourceError(error: unknown, what: string, signal: AbortSignal): unknown {
  if (isCoded(error)) return error;
  const { name, message, $metadata } = error as Error & { $metadata?: { httpStatusCode?: number } };
  if (signal.aborted)
    return new CodedError("ERR_ABORTED", `reading ${what} was interrupted`, { cause: error });
  const status = $metadata?.httpStatusCode;
  const fail = (code: ConstructorParameters<typeof CodedError>[0], reason: string): CodedError =>
    new CodedError(code, `${what}: ${reason}`, { cause: error });
  if (status === 404) return fail("ERR_BLOB_NOT_FOUND", `there is no such object (${name})`);
  if (status === 416) return fail("ERR_BLOB_CORRUPT", "the object ends before the range");
  if (status === 401 || status === 403 || name === "CredentialsProviderError") {
    return fail("ERR_REGISTRY_DENIED", `${name}: ${message}`);
  }
  return fail("ERR_SOURCE_UNAVAILABLE", `${name}: ${message}`);
}
