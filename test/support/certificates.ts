import { execFileSync } from "node:child_process";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { findProgram } from "./docker-registry.ts";

/** Why tests with certificates do not run here; `false` when they do. */
export const NO_OPENSSL: string | false = findProgram("openssl") ? false : "openssl is not installed";

/** A certificate and its key, in PEM. */
export interface Pair {
  readonly certificate: string;
  readonly key: string;
  readonly certificateFile: string;
  readonly keyFile: string;
}

/** An authority, and what it signed. */
export interface TestCertificates {
  readonly authority: Pair;
  /** For 127.0.0.1, localhost and registry.test. */
  readonly server: Pair;
  readonly client: Pair;
}

/** Makes certificates that hold for a day. */
export function makeCertificates(directory: string): TestCertificates {
  const openssl = (...words: string[]): void => {
    execFileSync("openssl", words, { stdio: "pipe" });
  };
  const pair = (name: string): Pair => {
    const [certificateFile, keyFile] = [join(directory, `${name}.pem`), join(directory, `${name}-key.pem`)];
    return {
      certificateFile,
      keyFile,
      certificate: readFileSync(certificateFile, "utf8"),
      key: readFileSync(keyFile, "utf8"),
    };
  };
  const make = (name: string, subject: string, ...more: string[]): void => {
    const key = ["-newkey", "rsa:2048", "-nodes", "-keyout", join(directory, `${name}-key.pem`)];
    openssl(
      "req",
      "-x509",
      ...key,
      "-days",
      "1",
      "-subj",
      `/CN=${subject}`,
      ...more,
      "-out",
      join(directory, `${name}.pem`),
    );
  };
  make("authority", "test authority");
  const signed = (name: string, subject: string, extensions: string): void => {
    const request = join(directory, `${name}.csr`);
    const key = join(directory, `${name}-key.pem`);
    openssl(
      "req",
      "-newkey",
      "rsa:2048",
      "-nodes",
      "-keyout",
      key,
      "-subj",
      `/CN=${subject}`,
      "-out",
      request,
    );
    const extensionFile = join(directory, `${name}.ext`);
    writeFileSync(extensionFile, extensions);
    const authority = [
      "-CA",
      join(directory, "authority.pem"),
      "-CAkey",
      join(directory, "authority-key.pem"),
    ];
    const out = ["-days", "1", "-extfile", extensionFile, "-out", join(directory, `${name}.pem`)];
    openssl("x509", "-req", "-in", request, ...authority, "-CAcreateserial", ...out);
  };
  signed("server", "server", "subjectAltName=IP:127.0.0.1,DNS:localhost,DNS:registry.test\n");
  signed("client", "client", "extendedKeyUsage=clientAuth\n");
  return { authority: pair("authority"), server: pair("server"), client: pair("client") };
}
