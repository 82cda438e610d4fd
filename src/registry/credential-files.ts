import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { CodedError } from "../base/errors.ts";
import { decodeJsonObject, isJsonObject, type JsonObject } from "../format/oci/json.ts";
import { runCredentialHelper } from "./credential-helper.ts";
import type { CredentialSource, Credentials } from "./credentials.ts";
import { isMissingFile } from "./missing-file.ts";

/** Bytes of a credentials file that are read. */
const MAX_FILE_SIZE = 4 * 2 ** 20;
/** What docker calls its own registry in config.json and towards credential helpers. */
const DOCKER_HUB_KEY = "https://index.docker.io/v1/";

/**
 * Where docker, podman and skopeo keep credentials, first hit first: `REGISTRY_AUTH_FILE`,
 * containers/auth.json of the session and of the user, docker's config.json.
 *
 * @see containers-auth.json(5)
 */
export function defaultCredentialFiles(
  environment: Readonly<Record<string, string | undefined>>,
): readonly string[] {
  const { REGISTRY_AUTH_FILE, XDG_RUNTIME_DIR, XDG_CONFIG_HOME, DOCKER_CONFIG, HOME } = environment;
  const config = XDG_CONFIG_HOME || (HOME && join(HOME, ".config"));
  const docker = DOCKER_CONFIG || (HOME && join(HOME, ".docker"));
  return [
    REGISTRY_AUTH_FILE,
    XDG_RUNTIME_DIR && join(XDG_RUNTIME_DIR, "containers", "auth.json"),
    config && join(config, "containers", "auth.json"),
    docker && join(docker, "config.json"),
  ].filter((path): path is string => path !== undefined && path !== "");
}

/** Credentials out of files in docker's format. A file that is not there is passed over. */
export class CredentialFiles implements CredentialSource {
  readonly #paths: readonly string[];

  constructor(paths: readonly string[]) {
    this.#paths = paths;
  }

  async find(registry: string, repository: string): Promise<Credentials | undefined> {
    for (const path of this.#paths) {
      const document = await readCredentialFile(path);
      if (document === undefined) continue;
      const found =
        (await askHelper(document, registry, path)) ?? findInAuths(document, registry, repository, path);
      if (found !== undefined) return found;
    }
    return undefined;
  }
}

async function readCredentialFile(path: string): Promise<JsonObject | undefined> {
  try {
    return decodeJsonObject(await readFile(path), path, MAX_FILE_SIZE);
  } catch (cause) {
    if (isMissingFile(cause)) return undefined;
    // The cause quotes what it could not parse, which here may be a password.
    const why = cause instanceof CodedError ? "is no JSON object" : "cannot be read";
    throw new CodedError("ERR_CREDENTIALS_INVALID", `credentials file ${path} ${why}`);
  }
}

async function askHelper(
  document: JsonObject,
  registry: string,
  path: string,
): Promise<Credentials | undefined> {
  const { credHelpers, credsStore } = document;
  const forRegistry = isJsonObject(credHelpers)
    ? Object.entries(credHelpers).find(([key]) => repositoryOfKey(key) === registry)?.[1]
    : undefined;
  const helper = forRegistry ?? credsStore;
  if (helper === undefined || helper === "") return undefined;
  if (typeof helper !== "string") {
    throw new CodedError(
      "ERR_CREDENTIALS_INVALID",
      `credentials file ${path} names a helper that is no string`,
    );
  }
  return runCredentialHelper(helper, registry === "docker.io" ? DOCKER_HUB_KEY : registry);
}

/** The row whose key is the longest prefix of `registry/repository`. */
function findInAuths(
  document: JsonObject,
  registry: string,
  repository: string,
  path: string,
): Credentials | undefined {
  const { auths } = document;
  if (!isJsonObject(auths)) return undefined;
  const wanted = `${registry}/${repository}/`;
  const [best] = Object.entries(auths)
    .map(([key, row]) => ({ key: repositoryOfKey(key), row }))
    .filter(({ key }) => wanted.startsWith(`${key}/`))
    .sort((left, right) => right.key.length - left.key.length);
  return best === undefined ? undefined : credentialsOfRow(best.row, best.key, path);
}

function credentialsOfRow(row: unknown, key: string, path: string): Credentials | undefined {
  if (!isJsonObject(row)) return undefined;
  const { identitytoken, auth, username, password } = row;
  if (typeof identitytoken === "string" && identitytoken !== "") {
    return { kind: "identity-token", token: identitytoken };
  }
  if (typeof auth === "string" && auth !== "") {
    const decoded = Buffer.from(auth, "base64").toString("utf8");
    const colon = decoded.indexOf(":");
    if (colon < 1) {
      throw new CodedError(
        "ERR_CREDENTIALS_INVALID",
        `the auth of ${key} in ${path} is not base64 of USER:PASSWORD`,
      );
    }
    // Old versions of docker padded the password with NULs.
    return {
      kind: "password",
      username: decoded.slice(0, colon),
      password: decoded.slice(colon + 1).replace(/\0+$/, ""),
    };
  }
  if (typeof username === "string" && username !== "" && typeof password === "string") {
    return { kind: "password", username, password };
  }
  return undefined;
}

/** `https://index.docker.io/v1/` and `docker.io` are one registry; keys may carry scheme and version. */
function repositoryOfKey(key: string): string {
  const bare = key.replace(/^https?:\/\//, "").replace(/\/+$/, "");
  const unversioned = bare.replace(/^([^/]+)\/v[12]$/, "$1");
  return unversioned.replace(/^(?:index|registry-1)\.docker\.io(?=\/|$)/, "docker.io");
}
