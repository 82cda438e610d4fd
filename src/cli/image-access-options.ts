import { readFileSync } from "node:fs";
import type { Command } from "commander";
import type { ImageAccessOptions, Login } from "../app/image-access.ts";
import { CodedError } from "../base/errors.ts";
import { repeatedArgument } from "./program.ts";

/** Options of every command that reaches registries. */
export interface AccessFlags {
  readonly username?: string;
  readonly passwordStdin?: boolean;
  readonly plainHttp?: boolean;
  readonly caFile?: readonly string[];
  readonly certFile?: string;
  readonly keyFile?: string;
  readonly registryConfigDir?: string;
}

/** Adds the options that say how registries are reached. */
export function addAccessOptions(command: Command): Command {
  return command
    .option("--username <name>", "user at the registry of TARGET, or of the only image in a registry")
    .option("--password-stdin", "read that user's password from standard input")
    .option("--plain-http", "use http without TLS, not only for this machine")
    .option("--ca-file <file>", "trust the certificates in this PEM file too (repeatable)", repeatedArgument)
    .option("--cert-file <file>", "show registries this client certificate, in PEM")
    .option("--key-file <file>", "key of that certificate (default: in the same file)")
    .option("--registry-config-dir <dir>", "folder of mirrors, in the form of containerd's certs.d");
}

/**
 * How registries are reached, without a login.
 *
 * @throws {CodedError} ERR_OPTION_INVALID for a key without a certificate.
 */
export function accessOf(flags: AccessFlags): Omit<ImageAccessOptions, "login"> {
  const { certFile, keyFile = certFile, registryConfigDir } = flags;
  if (certFile === undefined && keyFile !== undefined) {
    throw new CodedError("ERR_OPTION_INVALID", "--key-file goes with --cert-file");
  }
  return {
    plainHttp: flags.plainHttp === true,
    certificateFiles: flags.caFile ?? [],
    ...(certFile !== undefined &&
      keyFile !== undefined && { clientCertificate: { certificateFile: certFile, keyFile } }),
    ...(registryConfigDir !== undefined && { hostsFolder: registryConfigDir }),
    environment: process.env,
  };
}

/**
 * The login that was given; the password is read from standard input.
 *
 * @throws {CodedError} ERR_OPTION_INVALID when only one half is given.
 */
export function loginOf(flags: AccessFlags): Login | undefined {
  const { username, passwordStdin } = flags;
  if (username === undefined && passwordStdin !== true) return undefined;
  if (username === undefined || passwordStdin !== true) {
    throw new CodedError("ERR_OPTION_INVALID", "--username and --password-stdin go together");
  }
  return { username, password: readFileSync(STDIN, "utf8").replace(/\r?\n$/, "") };
}

const STDIN = 0;
