import type { Command } from "commander";
import type { CacheReply, NodeEvent, StatusReply } from "../../app/daemon-client.ts";
import { formatSize } from "../../base/options.ts";
import { printable, writeLines } from "../lines.ts";
import { finishCommand } from "../program.ts";
import { addClientOptions, type ClientFlags, clientOf } from "./client-options.ts";

/** Adds `nydus-daemon status`, `cache` and `events`. */
export function addStatusCommands(program: Command): void {
  const status = program
    .command("status")
    .summary("show what the daemon serves")
    .description("Shows the daemon, its images, and mounts that died with an earlier one.");
  addClientOptions(status);
  finishCommand<ClientFlags>(status, STATUS_HELP, async ({ signal, output }, _, flags) => {
    const reply = await (await clientOf(flags)).status(signal);
    if (output.json) output.record("status", reply);
    else await writeLines(statusLines(reply).map(printable));
  });

  const cache = program
    .command("cache")
    .summary("show what the cache takes on the disk")
    .description("Shows the cache folder and its blobs.");
  addClientOptions(cache);
  finishCommand<ClientFlags>(cache, CACHE_HELP, async ({ signal, output }, _, flags) => {
    const reply = await (await clientOf(flags)).cache(signal);
    if (output.json) output.record("cache", reply);
    else await writeLines(cacheLines(reply).map(printable));
  });

  const events = program
    .command("events")
    .summary("show the last events")
    .description("Shows mounts, take-overs and failures, oldest first.");
  addClientOptions(events);
  finishCommand<ClientFlags>(events, EVENTS_HELP, async ({ signal, output }, _, flags) => {
    const reply = await (await clientOf(flags)).events(signal);
    for (const event of reply.events) output.record("event", { name: event.event, ...event });
    if (!output.json) await writeLines(reply.events.map(eventLine).map(printable));
  });
}

function statusLines(status: StatusReply): string[] {
  const { fuse } = status;
  const rows = status.images.flatMap((image) =>
    image.mounts.map(({ mountpoint, engine }) => [
      String(image.number),
      image.problem === undefined ? engine : "failed",
      formatSize(image.fetchedBytes),
      mountpoint,
      image.problem === undefined ? image.name : `${image.name}: ${image.problem}`,
    ]),
  );
  return [
    `daemon    ${status.version}, process ${status.pid} of supervisor ${status.supervisorPid}, generation ${status.generation}`,
    `since     ${new Date(status.startedMs).toISOString()}, ${status.takeovers} take-overs`,
    `requests  ${fuse.requests}, ${fuse.cachedReads} reads from the cache, ${fuse.waitingReads} that waited`,
    ...(rows.length === 0
      ? []
      : ["", ...table([["NO", "ENGINE", "FETCHED", "MOUNTPOINT", "IMAGE"], ...rows])]),
    ...status.staleMounts.map(
      ({ mountpoint, image, users }) =>
        `must be restarted: containers of processes ${users.join(", ")}, which use the dead mount of ${image} at ${mountpoint}`,
    ),
  ];
}

function cacheLines({ directory, usedSize, blobs }: CacheReply): string[] {
  const rows = blobs.map(({ id, usedSize: used, decodedSize, isMounted }) => [
    id,
    formatSize(used),
    formatSize(decodedSize),
    isMounted ? "mounted" : "",
  ]);
  return [`${directory}: ${formatSize(usedSize)}`, ...table([["BLOB", "USED", "WHOLE", ""], ...rows])];
}

function eventLine({ timeMs, event, ...fields }: NodeEvent): string {
  const rest = Object.entries(fields).map(([name, value]) => `${name}=${value}`);
  return [new Date(timeMs).toISOString(), event, ...rest].join(" ");
}

/** Columns as wide as their widest cell. */
function table(rows: readonly (readonly string[])[]): string[] {
  const widths = (rows[0] ?? []).map((_, column) => Math.max(...rows.map((row) => row[column]?.length ?? 0)));
  return rows.map((row) =>
    row
      .map((cell, column) => cell.padEnd(widths[column] ?? 0))
      .join("  ")
      .trimEnd(),
  );
}

const STATUS_HELP = {
  examples: [
    ["nydus-daemon status", "What is mounted:"],
    ["nydus-daemon status --json", "The same for scripts:"],
  ],
} as const;

const CACHE_HELP = { examples: [["nydus-daemon cache", "How large the cache is:"]] } as const;

const EVENTS_HELP = { examples: [["nydus-daemon events", "What happened:"]] } as const;
