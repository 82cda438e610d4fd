import { readFileSync } from "node:fs";
import { hasZstd, requireZstd } from "./zstd.ts";

/** Which library encodes and decodes what, for `--version --verbose` and bug reports. */
export interface CodecVersions {
  readonly zstd: string | undefined;
  readonly lz4: string;
  readonly zlib: string;
  readonly blake3: string;
  readonly sha256: string;
}

/** The versions of the codecs in use; the encoders' are part of what a conversion's digests depend on. */
export function codecVersions(): CodecVersions {
  return {
    zstd: hasZstd() ? `${requireZstd().version} (zstd-napi ${versionOf("zstd-napi/binding.js")})` : undefined,
    lz4: `lz4-napi ${versionOf("lz4-napi")}`,
    zlib: process.versions.zlib ?? "unknown",
    blake3: `@napi-rs/blake-hash ${versionOf("@napi-rs/blake-hash")}`,
    sha256: `OpenSSL ${process.versions.openssl ?? "unknown"}`,
  };
}

/** `specifier` names a module at the root of its package, where package.json lies too. */
function versionOf(specifier: string): string {
  const path = new URL("package.json", import.meta.resolve(specifier));
  return String((JSON.parse(readFileSync(path, "utf8")) as { version?: unknown }).version);
}
