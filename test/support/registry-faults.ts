/** What a test registry shall do wrong, or ask for. All may be changed while it runs. */
export interface Faults {
  /** Closes the connection after this many bytes of a blob, as often as `dropTimes` says. */
  dropAfter?: number | undefined;
  dropTimes: number;
  /** Bytes from which on a blob is sent with faults. */
  faultySize: number;
  /** Sends nothing more after this many bytes of a blob. */
  stallAfter?: number | undefined;
  /** Sends a blob in pieces of so many bytes, 10 ms apart. */
  dripSize?: number | undefined;
  /** Added to the Content-Length of blobs. */
  lengthLie: number;
  /** Added to the first byte in the Content-Range of blobs. */
  rangeLie: number;
  /** How many manifests break off in the middle. */
  dropManifests: number;
  /** The answer to requests with a Range, instead of a part. */
  refuseRange?: number | undefined;
  /** Statuses for the next requests, one each; those under `/token` and of the ping are spared. */
  failNext: number[];
  /** The same for `/token`. */
  failTokens: number[];
  /** Statuses for the next uploads, after their bytes came. */
  failUploads: number[];
  /** Closes the connection of the next uploads after that many bytes, which it keeps. */
  resetUploads: number[];
  /** Added to the bytes that an upload is said to have, one for each time it is said. */
  uploadLies: number[];
  /** Forgets an upload when it is asked for it. */
  forgetUploads: boolean;
  /** Knows uploads in one piece only. */
  refusePatch: boolean;
  /** Bytes of a PATCH over which it gets 413. */
  maxPatchSize: number;
  /** Milliseconds from the last byte of an upload to the answer. */
  commitDelayMs: number;
  /** Uploads go to this origin, the answer of {@link TestRegistry.origin} of another one. */
  uploadTo?: string | undefined;
  /** The answer to a mount, instead of one. */
  refuseMount?: number | undefined;
  /** Retry-After of those answers. */
  retryAfter?: string | undefined;
  /** Flips a bit in the middle of every blob it sends. */
  wrongBytes: boolean;
  ignoreRange: boolean;
  /** Blobs are sent once this is settled. */
  hold?: Promise<void> | undefined;
  /** Sends blobs by redirect to this origin, the answer of {@link TestRegistry.origin} of another one. */
  redirectTo?: string | undefined;
  /** Query of redirects; a blob request whose query is `expired` gets 403. */
  redirectQuery: string;
  /** What a request must show. The password is `secret`, the user `someone`. */
  require: "nothing" | "basic" | "bearer";
  /** `expires_in` of tokens. */
  tokenLifetimeS: number;
  /** Tokens given out before are refused. */
  revokeTokens: boolean;
  /** Tokens are refused after that many requests. */
  tokenUses: number;
  /** The Docker-Content-Digest of manifests, instead of the right one. */
  claimDigest?: string | undefined;
}

/** Nothing wrong. */
export function noFaults(): Faults {
  return {
    dropAfter: undefined,
    dropTimes: 0,
    faultySize: 0,
    stallAfter: undefined,
    dripSize: undefined,
    lengthLie: 0,
    rangeLie: 0,
    dropManifests: 0,
    refuseRange: undefined,
    failNext: [],
    failTokens: [],
    failUploads: [],
    resetUploads: [],
    uploadLies: [],
    forgetUploads: false,
    refusePatch: false,
    maxPatchSize: Infinity,
    commitDelayMs: 0,
    uploadTo: undefined,
    refuseMount: undefined,
    retryAfter: undefined,
    wrongBytes: false,
    ignoreRange: false,
    hold: undefined,
    redirectTo: undefined,
    redirectQuery: "?signature=s3cr3t",
    require: "nothing",
    tokenLifetimeS: 300,
    revokeTokens: false,
    tokenUses: Infinity,
    claimDigest: undefined,
  };
}
