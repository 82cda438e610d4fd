import * as v from "valibot";
import { CodedError } from "../base/errors.ts";
import { checkShape } from "../node/shape.ts";
import type { Credentials } from "../registry/credentials.ts";

/** Bytes of a configuration of nydusd, as nydusd itself bounds it. */
export const MAX_NYDUSD_CONFIG_SIZE = 2 ** 20;

const TEXT = v.pipe(v.string(), v.maxLength(65_536));
const PATHS = v.pipe(v.array(TEXT), v.maxLength(64));

const REGISTRY = v.object({
  host: v.pipe(TEXT, v.minLength(1)),
  repo: v.pipe(TEXT, v.minLength(1)),
  scheme: v.optional(v.picklist(["http", "https", ""])),
  auth: v.optional(TEXT),
  registry_token: v.optional(TEXT),
  skip_verify: v.optional(v.boolean()),
  ca_cert_files: v.optional(v.nullable(PATHS)),
});
const LOCALFS = v.object({
  dir: v.optional(TEXT),
  alt_dirs: v.optional(v.nullable(PATHS)),
  blob_file: v.optional(TEXT),
});
const CACHE = v.object({ work_dir: v.optional(TEXT) });

/** Version 1, what nydus-snapshotter writes. */
const VERSION_1 = v.object({
  device: v.object({
    backend: v.object({ type: v.string(), config: v.optional(v.unknown()) }),
    cache: v.optional(v.object({ config: v.optional(CACHE) })),
  }),
  fs_prefetch: v.optional(
    v.object({ enable: v.optional(v.boolean()), prefetch_all: v.optional(v.boolean()) }),
  ),
});

/** Version 2. */
const VERSION_2 = v.object({
  version: v.literal(2),
  backend: v.looseObject({ type: v.string() }),
  cache: v.optional(v.object({ filecache: v.optional(CACHE) })),
  rafs: v.optional(
    v.object({
      prefetch: v.optional(
        v.object({ enable: v.optional(v.boolean()), prefetch_all: v.optional(v.boolean()) }),
      ),
    }),
  ),
});

/** Where nydusd's configuration says that the blobs of an image are. */
export type NydusdBackend =
  | {
      readonly kind: "registry";
      readonly host: string;
      readonly repository: string;
      readonly plainHttp: boolean;
      readonly certificateFiles: readonly string[];
      readonly credentials: Credentials | undefined;
    }
  | { readonly kind: "localfs"; readonly directories: readonly string[] };

/** What is read of a configuration of nydusd; the rest has no meaning here. */
export interface NydusdConfig {
  readonly backend: NydusdBackend;
  /** Folder of the cache. */
  readonly workDirectory: string | undefined;
  readonly prefetch: "none" | "hints" | "all";
}

/**
 * Reads a configuration of nydusd in JSON, version 1 or 2.
 *
 * @throws {CodedError} ERR_OPTION_INVALID; ERR_FEATURE_UNSUPPORTED for another backend, or a token in the place of a
 *   login. Values are not quoted: there are passwords among them.
 */
export function parseNydusdConfig(text: string): NydusdConfig {
  const document = parseJson(text);
  if ((document as { version?: unknown } | null)?.version === 2) {
    const { backend, cache, rafs } = checked(VERSION_2, document);
    return {
      backend: backendOf(backend.type, backend[backend.type]),
      workDirectory: cache?.filecache?.work_dir,
      prefetch: prefetchOf(rafs?.prefetch),
    };
  }
  const { device, fs_prefetch } = checked(VERSION_1, document);
  return {
    backend: backendOf(device.backend.type, device.backend.config),
    workDirectory: device.cache?.config?.work_dir,
    prefetch: prefetchOf(fs_prefetch),
  };
}

/**
 * Reads `auth` of a registry: base64 of `USER:PASSWORD`.
 *
 * @throws {CodedError} ERR_OPTION_INVALID.
 */
export function parseRegistryAuth(auth: string): Credentials {
  const decoded = Buffer.from(auth, "base64").toString("utf8");
  const colon = decoded.indexOf(":");
  if (colon < 1) throw new CodedError("ERR_OPTION_INVALID", "registry auth is not base64 of USER:PASSWORD");
  return { kind: "password", username: decoded.slice(0, colon), password: decoded.slice(colon + 1) };
}

function backendOf(type: string, config: unknown): NydusdBackend {
  if (type === "registry") {
    const { host, repo, scheme, auth, registry_token, skip_verify, ca_cert_files } = checked(
      REGISTRY,
      config,
    );
    if (registry_token !== undefined && registry_token !== "") {
      throw new CodedError("ERR_FEATURE_UNSUPPORTED", "a registry_token without a login");
    }
    if (skip_verify === true && scheme !== "http") {
      throw new CodedError("ERR_FEATURE_UNSUPPORTED", "skip_verify: name the certificates in ca_cert_files");
    }
    return {
      kind: "registry",
      host,
      repository: repo,
      plainHttp: scheme === "http",
      certificateFiles: ca_cert_files ?? [],
      credentials: auth === undefined || auth === "" ? undefined : parseRegistryAuth(auth),
    };
  }
  if (type === "localfs") {
    const { dir, alt_dirs, blob_file } = checked(LOCALFS, config);
    if (dir === undefined || dir === "" || (blob_file !== undefined && blob_file !== "")) {
      throw new CodedError("ERR_FEATURE_UNSUPPORTED", "a localfs backend without dir, or with blob_file");
    }
    return { kind: "localfs", directories: [dir, ...(alt_dirs ?? [])] };
  }
  throw new CodedError("ERR_FEATURE_UNSUPPORTED", `backend type ${JSON.stringify(type.slice(0, 32))}`);
}

function prefetchOf(
  prefetch: { enable?: boolean | undefined; prefetch_all?: boolean | undefined } | undefined,
): NydusdConfig["prefetch"] {
  if (prefetch?.enable !== true) return "none";
  return prefetch.prefetch_all === true ? "all" : "hints";
}

function parseJson(text: string): unknown {
  if (Buffer.byteLength(text) > MAX_NYDUSD_CONFIG_SIZE) {
    throw new CodedError("ERR_LIMIT_EXCEEDED", `a configuration of over ${MAX_NYDUSD_CONFIG_SIZE} bytes`);
  }
  try {
    return JSON.parse(text);
  } catch {
    throw new CodedError("ERR_OPTION_INVALID", "the configuration is no JSON");
  }
}

function checked<Schema extends v.GenericSchema>(schema: Schema, value: unknown): v.InferOutput<Schema> {
  const result = checkShape(schema, value);
  if ("value" in result) return result.value;
  const { key, wanted } = result.fault;
  throw new CodedError("ERR_OPTION_INVALID", `${key || "configuration"}: wanted ${wanted}`);
}
