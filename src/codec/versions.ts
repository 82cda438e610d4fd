import { readFileSync } from "node:fs";
import { addon } from "../native/addon.ts";
import { hasZstd, requireZstd } from "./zstd.ts";

/** What does the work of a codec. */
export interface CodecVersion {
  readonly library: string;
  /** As the library tells it; of a system's library, the name of its file. */
  readonly version: string;
}

/** What does the work of every codec on this machine, for bug reports. */
export interface CodecVersions {
  /** Decoding of gzip layers. */
  readonly inflate: CodecVersion;
  /** Both ways; absent where zstd-napi is not installed. Its version is part of what a conversion's digests depend on. */
  readonly zstd: CodecVersion | undefined;
  /** Its version is part of what a conversion's digests depend on. */
  readonly lz4Encode: CodecVersion;
  readonly lz4Decode: CodecVersion;
  readonly blake3: CodecVersion;
  readonly sha256: CodecVersion;
  readonly crc32c: CodecVersion;
}

/** The codecs in use. */
export function codecVersions(): CodecVersions {
  const isalFile = addon()?.isal()?.file;
  const lz4File = addon()?.lz4()?.file;
  const isal = isalFile === undefined ? undefined : { library: "ISA-L", version: isalFile };
  const lz4 = { library: "lz4-napi", version: packageVersion("lz4-napi") };
  return {
    inflate: isal ?? { library: "zlib", version: process.versions.zlib ?? "unknown" },
    zstd: hasZstd()
      ? {
          library: `zstd-napi ${packageVersion("zstd-napi/binding.js")}, zstd`,
          version: requireZstd().version,
        }
      : undefined,
    lz4Encode: lz4,
    lz4Decode: lz4File === undefined ? lz4 : { library: "liblz4", version: lz4File },
    blake3: { library: "@napi-rs/blake-hash", version: packageVersion("@napi-rs/blake-hash") },
    sha256: { library: "OpenSSL", version: process.versions.openssl ?? "unknown" },
    crc32c: isal ?? { library: "JavaScript", version: process.version },
  };
}

/** `specifier` names a module at the root of its package, where package.json lies too. */
function packageVersion(specifier: string): string {
  const path = new URL("package.json", import.meta.resolve(specifier));
  return String((JSON.parse(readFileSync(path, "utf8")) as { version?: unknown }).version);
}
