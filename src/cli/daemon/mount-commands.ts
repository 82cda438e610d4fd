import { resolve } from "node:path";
import type { Command } from "commander";
import { type MountRequest, NODE_ENGINES, PREFETCH_KINDS } from "../../app/daemon-client.ts";
import { CodedError } from "../../base/errors.ts";
import { choiceOption } from "../../base/options.ts";
import { loginOf } from "../image-access-options.ts";
import { IMAGE_DESCRIPTION } from "../image-options.ts";
import { finishCommand, repeatedArgument } from "../program.ts";
import { addClientOptions, type ClientFlags, clientOf } from "./client-options.ts";

interface MountFlags extends ClientFlags {
  readonly engine?: string;
  readonly prefetch?: string;
  readonly platform?: string;
  readonly bootstrap?: string;
  readonly blobDir?: readonly string[];
  readonly blobId?: string;
  readonly username?: string;
  readonly passwordStdin?: boolean;
}

/** Adds `nydus-daemon mount`, `unmount` and `prefetch`. */
export function addMountCommands(program: Command): void {
  const mount = program
    .command("mount")
    .summary("mount an image")
    .description("Mounts an image; the same image at the same place again is no error.")
    .argument("[image]", IMAGE_DESCRIPTION)
    .argument("[mountpoint]", "an existing directory")
    .option("--engine <name>", `${NODE_ENGINES.join(", ")} (default: that of the daemon)`)
    .option("--prefetch <what>", `fetch in the background: ${PREFETCH_KINDS.join(", ")} (default: none)`)
    .option("--platform <os/arch[/variant]>", "the image for this platform (default: this machine's)")
    .option("--bootstrap <file>", "mount a bare image: the file of its bootstrap, in the place of IMAGE")
    .option("--blob-dir <dir>", "folder with blobs of that image (repeatable)", repeatedArgument)
    .option("--blob-id <hex>", "id of the blob that the bootstrap was inlined in (default: its file name)")
    .option("--username <name>", "user at the image's registry; the daemon keeps it in memory only")
    .option("--password-stdin", "read that user's password from standard input");
  addClientOptions(mount);
  finishCommand<MountFlags>(mount, MOUNT_HELP, async ({ signal, output }, operands, flags) => {
    const client = await clientOf(flags);
    const made = await client.mount(requestOf(operands, flags), signal);
    output.result(
      `mounted ${made.image} at ${made.mountpoint}, engine ${made.engine}: ${made.reason ?? "as before"}`,
    );
    output.record("mounted", made);
  });

  const unmount = program
    .command("unmount")
    .summary("unmount an image")
    .description(
      "Takes a mount away, in use or not. An image that is mounted nowhere else is served no more.",
    )
    .argument("<mountpoint>", "where it is mounted");
  addClientOptions(unmount);
  finishCommand<ClientFlags>(unmount, UNMOUNT_HELP, async ({ signal, output }, [path = ""], flags) => {
    const mountpoint = resolve(path);
    await (await clientOf(flags)).unmount(mountpoint, signal);
    output.record("unmounted", { mountpoint });
  });

  const prefetch = program
    .command("prefetch")
    .summary("fetch chunks of a mounted image in the background")
    .description("Starts to fetch what a mounted image hints at, or all of it, and returns.")
    .argument("<mountpoint>", "where the image is mounted")
    .option("--what <what>", `${PREFETCH_KINDS.join(", ")} (default: all)`);
  addClientOptions(prefetch);
  finishCommand<ClientFlags & { readonly what?: string }>(
    prefetch,
    PREFETCH_HELP,
    async ({ signal }, [path = ""], flags) => {
      const what = choiceOption("what", flags.what ?? "all", PREFETCH_KINDS);
      await (await clientOf(flags)).prefetch({ mountpoint: resolve(path), what }, signal);
    },
  );
}

function requestOf(operands: readonly string[], flags: MountFlags): MountRequest {
  const { bootstrap, blobDir, blobId, engine, prefetch, platform } = flags;
  const [image, mountpoint] = bootstrap === undefined ? operands : [undefined, ...operands];
  if (mountpoint === undefined) {
    const wanted = bootstrap === undefined ? "IMAGE and MOUNTPOINT" : "MOUNTPOINT";
    throw new CodedError("ERR_OPTION_INVALID", `wanted ${wanted}, got ${operands.length} arguments`);
  }
  const login = loginOf(flags);
  return {
    mountpoint: resolve(mountpoint),
    ...(image !== undefined && { image: withAbsolutePath(image) }),
    ...(bootstrap !== undefined && { bootstrap: resolve(bootstrap) }),
    ...(blobDir !== undefined && { blobDirs: blobDir.map((path) => resolve(path)) }),
    ...(blobId !== undefined && { blobId }),
    ...(platform !== undefined && { platform }),
    ...(engine !== undefined && { engine: choiceOption("engine", engine, NODE_ENGINES) }),
    ...(prefetch !== undefined && { prefetch: choiceOption("prefetch", prefetch, PREFETCH_KINDS) }),
    ...(login !== undefined && { credentials: { kind: "password" as const, ...login } }),
  };
}

/** The daemon runs in another folder than the caller. */
function withAbsolutePath(image: string): string {
  const [, transport, path] = /^(oci|oci-archive|docker-archive):(.*)$/s.exec(image) ?? [];
  return transport === undefined || path === undefined ? image : `${transport}:${resolve(path)}`;
}

const MOUNT_HELP = {
  examples: [
    ["nydus-daemon mount registry.example/debian:12-nydus /mnt", "An image of a registry:"],
    [
      "nydus-daemon mount oci:images:debian /mnt --prefetch all",
      "Of a layout, and fetch all of it meanwhile:",
    ],
  ],
} as const;

const UNMOUNT_HELP = { examples: [["nydus-daemon unmount /mnt", "End it:"]] } as const;

const PREFETCH_HELP = {
  examples: [["nydus-daemon prefetch /mnt", "Fetch all of an image before it is needed:"]],
} as const;
