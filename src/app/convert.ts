import { renameSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { byteStringOfText } from "../base/bytes.ts";
import { CodedError } from "../base/errors.ts";
import type { ConvertEvent } from "../convert/convert-event.ts";
import { convertImage, type DirectoryToConvert, type ImageToConvert } from "../convert/convert-image.ts";
import { type ConvertOptions, checkConvertOptions } from "../convert/convert-options.ts";
import type { ConvertReport } from "../convert/convert-report.ts";
import type { PlatformChoice } from "../convert/select-manifests.ts";
import { type ImageName, parseImageName } from "../format/oci/image-name.ts";
import { parsePlatform } from "../format/oci/platform.ts";
import { temporaryName } from "../store/temporary-name.ts";
import { platformOrHost } from "./host-platform.ts";
import {
  ImageAccess,
  type ImageAccessOptions,
  type Login,
  registryReferenceOf,
  withLogin,
} from "./image-access.ts";
import { readPathList } from "./path-list.ts";
import { xattrReader } from "./read-xattrs.ts";

export type { ConvertEvent } from "../convert/convert-event.ts";
export type { ConvertReport } from "../convert/convert-report.ts";

/** A file descriptor. */

/** What a user asks `nydus-convert` for. */
export interface ConvertRequest {
  /** IMAGE, `dir:` allowed. */
  readonly source: string;
  /** IMAGE. */
  readonly target: string;
  /** `os/arch[/variant]`; empty means the host's. */
  readonly platforms: readonly string[];
  readonly allPlatforms: boolean;
  /** Whether the target gets an index of the originals, as they are, and the Nydus images. @default false */
  readonly mergePlatform?: boolean;
  readonly options: Omit<ConvertOptions, "prefetch">;
  /** Absolute paths, as text. */
  readonly prefetch: readonly string[];
  /** A file of absolute paths, one a line. @default none */
  readonly prefetchFile?: string;
  /** An existing folder for temporary files. @default the system's */
  readonly workDirectory?: string;
  /** A file to write the report to, as JSON. @default none */
  readonly reportFile?: string;
  readonly access: Omit<ImageAccessOptions, "login">;
  readonly login?: Login;
}

/** How a run is followed and stopped. */
export interface ConvertHooks {
  readonly signal: AbortSignal;
  readonly onEvent: (event: ConvertEvent) => void;
}

/**
 * Converts an image as a user asked for it.
 *
 * @throws {CodedError} ERR_OPTION_INVALID, as {@link convertImage}, and ERR_TARGET_IO when the report
 *   cannot be written (the image is there then).
 */
export async function runConvert(request: ConvertRequest, hooks: ConvertHooks): Promise<ConvertReport> {
  const source = parseImageName(request.source);
  const target = parseImageName(request.target);
  const platforms = platformChoice(request);
  const mergesPlatforms = request.mergePlatform === true;
  if (mergesPlatforms && source.kind === "dir") {
    throw new CodedError("ERR_OPTION_INVALID", "a directory has no image that could be merged");
  }
  const { prefetchFile } = request;
  const listed = prefetchFile === undefined ? [] : readPathList(prefetchFile, "prefetch file");
  const prefetch = [...request.prefetch, ...listed];
  const options: ConvertOptions = { ...request.options, prefetch: prefetch.map(byteStringOfText) };
  // Before anything is opened, so that wrong usage shows no other failure first.
  checkConvertOptions(options);

  await using access = await ImageAccess.create(withLogin(request.access, request.login, [target, source]));
  await using imageTarget = access.openTarget(request.target);
  const run = { ...hooks, workParent: request.workDirectory ?? tmpdir() };
  const report =
    source.kind === "dir"
      ? await convertImage(directoryInput(source.path, platforms), imageTarget, options, run)
      : await convertFrom(access, request.source, source, platforms, (input) =>
          convertImage({ ...input, mergesPlatforms }, imageTarget, options, run),
        );
  if (request.reportFile !== undefined) writeReport(request.reportFile, report);
  return report;
}

async function convertFrom(
  access: ImageAccess,
  text: string,
  name: ImageName,
  platforms: PlatformChoice,
  convert: (input: ImageToConvert) => Promise<ConvertReport>,
): Promise<ConvertReport> {
  await using source = access.openSource(text);
  return await convert({ kind: "image", source, platforms, reference: registryReferenceOf(name) });
}

function directoryInput(path: string, { wanted }: PlatformChoice): DirectoryToConvert {
  const [platform, ...others] = wanted === "all" ? [] : wanted;
  if (platform === undefined || others.length > 0) {
    throw new CodedError("ERR_OPTION_INVALID", "a directory is converted for one platform");
  }
  const readXattrs = xattrReader();
  return { kind: "directory", path, platform, ...(readXattrs !== undefined && { readXattrs }) };
}

function platformChoice({ platforms, allPlatforms }: ConvertRequest): PlatformChoice {
  if (allPlatforms && platforms.length > 0) {
    throw new CodedError("ERR_OPTION_INVALID", "all platforms and single ones cannot both be wanted");
  }
  if (allPlatforms) return { wanted: "all", isExplicit: true };
  if (platforms.length > 0) return { wanted: platforms.map(parsePlatform), isExplicit: true };
  return { wanted: [platformOrHost(undefined)], isExplicit: false };
}

/** Under the report's name stands what was there before, or all of the new one. */
function writeReport(path: string, report: ConvertReport): void {
  const text = `${JSON.stringify(report, undefined, 2)}\n`;
  try {
    // A pipe or device, such as /dev/stderr, cannot be replaced.
    if (statSync(path, { throwIfNoEntry: false })?.isFile() === false) {
      writeFileSync(path, text);
      return;
    }
    const temporary = join(dirname(path), temporaryName(".nydus-report-"));
    try {
      writeFileSync(temporary, text);
      renameSync(temporary, path);
    } finally {
      rmSync(temporary, { force: true });
    }
  } catch (cause) {
    throw new CodedError("ERR_TARGET_IO", `report ${path} cannot be written`, { cause });
  }
}
