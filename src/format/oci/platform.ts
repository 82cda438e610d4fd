import { CodedError } from "../../base/errors.ts";
import type { Descriptor, Platform } from "./descriptor.ts";

const PART = /^[A-Za-z0-9_.-]{1,64}$/;

const ARCHITECTURES: Readonly<Record<string, string>> = {
  x86_64: "amd64",
  "x86-64": "amd64",
  x64: "amd64",
  aarch64: "arm64",
  i386: "386",
  ia32: "386",
  armhf: "arm",
  armel: "arm",
};

/**
 * Reads `os/arch[/variant]`.
 *
 * @throws {CodedError} ERR_OPTION_INVALID for anything else.
 */
export function parsePlatform(text: string): Platform {
  const parts = text.split("/");
  const [os = "", architecture = "", variant] = parts;
  if (parts.length < 2 || parts.length > 3 || !parts.every((part) => PART.test(part))) {
    throw new CodedError(
      "ERR_OPTION_INVALID",
      `platform must be os/arch[/variant] such as linux/arm64/v8, got ${JSON.stringify(text.slice(0, 200))}`,
    );
  }
  const lower = architecture.toLowerCase();
  return {
    os: os.toLowerCase(),
    architecture: ARCHITECTURES[lower] ?? lower,
    ...(variant !== undefined && { variant: variant.toLowerCase() }),
  };
}

/** `os/arch[/variant]`. */
export function formatPlatform(platform: Platform): string {
  const { os, architecture, variant } = platform;
  return variant === undefined ? `${os}/${architecture}` : `${os}/${architecture}/${variant}`;
}

/** The platform that images of a host run on, from Node's words for its system and processor. */
export function platformOfHost(system: string, processor: string): Platform {
  // Containers run Linux on every host but Windows, in a virtual machine where need be.
  return parsePlatform(`${system === "win32" ? "windows" : "linux"}/${processor}`);
}

/**
 * How well an offered platform serves a wanted one: 0 does not, higher is better.
 *
 * A processor runs the images of lower variants of its architecture; without a wanted variant the
 * plain one is best. `arm` alone means v7, `arm64` v8, `amd64` v1.
 */
export function platformFit(wanted: Platform, offered: Platform | undefined): number {
  if (offered === undefined || offered.os !== wanted.os) return 0;
  if ((ARCHITECTURES[offered.architecture] ?? offered.architecture) !== wanted.architecture) return 0;
  const want = variantNumber(wanted);
  const offer = variantNumber(offered);
  if (want === undefined || offer === undefined)
    return (wanted.variant ?? "") === (offered.variant ?? "") ? 1000 : 0;
  return offer > want ? 0 : 1000 - (want - offer);
}

/**
 * The rows of an index that serve the wanted platform, best first, in the index's order where equal.
 */
export function rowsForPlatform(rows: readonly Descriptor[], wanted: Platform): readonly Descriptor[] {
  return rows
    .map((row) => ({ row, fit: platformFit(wanted, row.platform) }))
    .filter(({ fit }) => fit > 0)
    .sort((left, right) => right.fit - left.fit)
    .map(({ row }) => row);
}

const DEFAULT_VARIANTS: Readonly<Record<string, number>> = { arm: 7, arm64: 8, amd64: 1 };

function variantNumber(platform: Platform): number | undefined {
  const { architecture, variant } = platform;
  const normal = ARCHITECTURES[architecture] ?? architecture;
  if (variant === undefined || variant === "") return DEFAULT_VARIANTS[normal];
  const match = /^v?(\d{1,2})$/.exec(variant);
  return match === null || DEFAULT_VARIANTS[normal] === undefined ? undefined : Number(match[1]);
}
