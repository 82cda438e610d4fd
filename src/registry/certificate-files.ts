import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { CodedError } from "../base/errors.ts";
import type { Certificates } from "../net/certificates.ts";
import { isMissingFile } from "./missing-file.ts";

/** Bytes of a file of certificates, and files of a folder, that are read. */
const MAX_FILE_SIZE = 2 ** 20;
const MAX_FILES = 256;

/** Where docker keeps certificates, by folders named after registries. */
export function dockerCertificateFolders(
  environment: Readonly<Record<string, string | undefined>>,
): readonly string[] {
  const { DOCKER_CONFIG, HOME } = environment;
  const own = DOCKER_CONFIG || (HOME && join(HOME, ".docker"));
  return ["/etc/docker/certs.d", ...(own ? [join(own, "certs.d")] : [])];
}

/**
 * The certificates of a folder in docker's form: every `*.crt` is trusted, `NAME.cert` with `NAME.key` is shown to the
 * server. A folder that is not there has none.
 *
 * @throws {CodedError} ERR_OPTION_INVALID when a file cannot be read, or a certificate is without its key.
 * @see docs.docker.com/engine/security/certificates
 */
export async function readCertificateFolder(folder: string): Promise<Certificates> {
  const names = (await listFolder(folder)).sort().slice(0, MAX_FILES);
  const ofKind = (suffix: string): string[] => names.filter((name) => name.endsWith(suffix));
  const trusted = await Promise.all(ofKind(".crt").map((name) => readPem(join(folder, name))));
  const [certificate] = ofKind(".cert");
  if (certificate === undefined) return { trusted };
  const key = `${certificate.slice(0, -".cert".length)}.key`;
  if (!names.includes(key)) {
    throw new CodedError("ERR_OPTION_INVALID", `${join(folder, certificate)} is without its ${key}`);
  }
  return { trusted, client: await readClientCertificate(join(folder, certificate), join(folder, key)) };
}

/**
 * A certificate and its key, from one file or two.
 *
 * @throws {CodedError} ERR_OPTION_INVALID when one cannot be read.
 */
export async function readClientCertificate(
  certificateFile: string,
  keyFile: string,
): Promise<{ readonly certificate: string; readonly key: string }> {
  const [certificate, key] = await Promise.all([readPem(certificateFile), readPem(keyFile)]);
  if (!key.includes("PRIVATE KEY")) {
    throw new CodedError("ERR_OPTION_INVALID", `${keyFile} has no private key in PEM`);
  }
  return { certificate, key };
}

/**
 * A file in PEM.
 *
 * @throws {CodedError} ERR_OPTION_INVALID when it cannot be read or is none.
 */
export async function readPem(path: string): Promise<string> {
  let text: string;
  try {
    text = await readFile(path, "utf8");
  } catch (cause) {
    throw new CodedError("ERR_OPTION_INVALID", `certificates ${path} cannot be read`, { cause });
  }
  if (text.length > MAX_FILE_SIZE || !text.includes("-----BEGIN ")) {
    throw new CodedError("ERR_OPTION_INVALID", `${path} is no file of certificates or keys in PEM`);
  }
  return text;
}

async function listFolder(folder: string): Promise<string[]> {
  try {
    return await readdir(folder);
  } catch (cause) {
    if (isMissingFile(cause)) return [];
    throw new CodedError("ERR_OPTION_INVALID", `certificates in ${folder} cannot be read`, { cause });
  }
}
