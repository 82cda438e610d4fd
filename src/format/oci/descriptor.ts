import type { Digest } from "../../base/digest.ts";

/** An operating system and processor, as OCI image indexes name them. */
export interface Platform {
  readonly os: string;
  readonly architecture: string;
  readonly variant?: string;
  readonly "os.features"?: readonly string[];
}

/**
 * Names content by media type, digest and size.
 *
 * @see OCI image-spec 1.1, descriptor.md
 */
export interface Descriptor {
  readonly mediaType: string;
  readonly digest: Digest;
  /** Bytes of the stored content. */
  readonly size: number;
  readonly annotations?: Readonly<Record<string, string>>;
  readonly platform?: Platform;
  readonly artifactType?: string;
  readonly urls?: readonly string[];
}
