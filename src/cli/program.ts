import { Command, CommanderError, type Option } from "commander";
import { CodedError } from "../base/errors.ts";
import { parseSize } from "../base/options.ts";
import { failureOf } from "./exit.ts";
import { mistypedCommand } from "./mistyped-command.ts";
import { Output } from "./output.ts";
import { printVersion, VersionRequest } from "./version-option.ts";

/** What a command's action works with. */
export interface CommandRun {
  /** Fires on SIGINT and SIGTERM. */
  readonly signal: AbortSignal;
  readonly output: Output;
}

/** Options that every command has. */
export interface CommonOptions {
  readonly json?: boolean;
  readonly quiet?: boolean;
  readonly verbose?: boolean;
}

/** What a command does; the exit status it returns is 0 when it returns none. */
export type CommandAction<Options> = (
  run: CommandRun,
  operands: readonly string[],
  options: Options & CommonOptions,
  // biome-ignore lint/suspicious/noConfusingVoidType: an action without a status returns nothing
) => Promise<number | void>;

/** How a command is described beside its options. */
export interface CommandHelp {
  /** Command lines, each with what it does. */
  readonly examples: readonly (readonly [line: string, does: string])[];
  /** Exit statuses the command has beside those of every command. */
  readonly exitStatus?: readonly (readonly [status: number, meaning: string])[];
}

const EXIT_STATUS: readonly (readonly [number, string])[] = [
  [0, "done"],
  [1, "bug or unclassified failure (stack with --verbose)"],
  [2, "wrong usage or option"],
  [3, "finished, but some items failed"],
  [4, "data failed verification"],
  [5, "something needed was not found or unreachable"],
  [130, "interrupted"],
];

/** A command whose every option can be given as an environment variable too: `NYDUS_` and its name. */
export class EnvironmentCommand extends Command {
  override createCommand(name?: string): EnvironmentCommand {
    return new EnvironmentCommand(name);
  }

  override createOption(flags: string, description?: string): Option {
    const option = super.createOption(flags, description);
    const isAction = option.long === "--version" || option.long === "--help";
    return option.long === undefined || isAction ? option : option.env(environmentName(option.long));
  }
}

/** What becomes of a program while it runs. */
interface ProgramRun {
  status: number;
  /** Fires when standard output takes no more; what the program does has no use then. */
  readonly outputFailed: AbortController;
}

const runs = new WeakMap<Command, ProgramRun>();

/**
 * Gives a command its action and what every command has: `--json`, `--quiet`, `--verbose` and the end of
 * its help. Call it once the command's own options are there.
 */
export function finishCommand<Options>(
  command: Command,
  help: CommandHelp,
  action: CommandAction<Options>,
): Command {
  command
    .option("--json", "print JSON lines")
    .option("--quiet", "print no progress")
    .option("--verbose", "print the stack of a failure");
  command.addHelpText("after", () => helpEnd(help));
  command.action(async (...given: unknown[]) => {
    const invoked = given.at(-1) as Command;
    const options = invoked.opts<Options & CommonOptions>();
    const output = new Output({ json: options.json === true, quiet: options.quiet === true });
    const programRun = runs.get(rootOf(invoked));
    await using interrupted = watchSignals();
    const { signal } = programRun?.outputFailed ?? new AbortController();
    const stop = AbortSignal.any([interrupted.signal, signal]);
    const status = await action({ signal: stop, output }, invoked.args, options);
    if (programRun !== undefined) programRun.status = status ?? 0;
  });
  return command;
}

/**
 * Runs a program and sets its exit status. A failure is one line on stderr, or with `--json` one object
 * `{"type":"error",…}`.
 *
 * @param argv Everything behind the program's name.
 */
export async function runProgram(program: Command, argv: readonly string[]): Promise<void> {
  const programRun: ProgramRun = { status: 0, outputFailed: new AbortController() };
  const { signal: outputFailed } = programRun.outputFailed;
  runs.set(program, programRun);
  for (const command of [program, ...program.commands]) {
    command.exitOverride().configureOutput({ outputError: () => {} });
  }
  dropFalseVariables(program);
  program.hook("preAction", (_program, invoked) => {
    const mistyped = invoked === program ? mistypedCommand(program) : undefined;
    if (mistyped !== undefined) throw mistyped;
  });
  process.stdout.on("error", (cause: NodeJS.ErrnoException) => {
    // A reader that goes away (`| head`) is not a failure.
    if (cause.code === "EPIPE") return;
    if (outputFailed.aborted) return;
    report(program.name(), new CodedError("ERR_TARGET_IO", "standard output", { cause }), argv);
    programRun.outputFailed.abort();
  });
  // A log on a full disk must not end a mount.
  process.stderr.on("error", () => undefined);
  try {
    await program.parseAsync([...argv], { from: "user" });
    if (!outputFailed.aborted) process.exitCode = programRun.status;
  } catch (error) {
    if (outputFailed.aborted) return;
    // Help ends this way too.
    if (error instanceof CommanderError && error.exitCode === 0) return;
    if (error instanceof VersionRequest) {
      printVersion(new Output({ json: isOn("--json", argv), quiet: false }), isOn("--verbose", argv));
      return;
    }
    // A missing target is not the point when the source was meant to be a command.
    const mistyped = error instanceof CommanderError ? mistypedCommand(program) : undefined;
    report(program.name(), mistyped ?? error, argv);
  }
}

/** Whether a flag is on, also where the command line was not parsed to its end. */
function isOn(flag: string, argv: readonly string[]): boolean {
  return argv.includes(flag) || process.env[environmentName(flag)] !== undefined;
}

function report(name: string, error: unknown, argv: readonly string[]): void {
  const { exit, code, message } = failureOf(error);
  const line = isOn("--json", argv)
    ? JSON.stringify({ type: "error", code, message, exit })
    : `${name}: ${message} [${code}]`;
  process.stderr.write(`${line}\n`);
  if (isOn("--verbose", argv) && error instanceof Error) process.stderr.write(`${error.stack}\n`);
  process.exitCode = exit;
}

/** Reads the value of an option in bytes; `option` names it in the message. */
export function sizeArgument(option: string): (text: string) => number {
  return (text) => parseSize(option, text);
}

/** Reads the value of an option that is a whole number; `option` names it in the message. */
export function integerArgument(option: string): (text: string) => number {
  return (text) => {
    if (/^\d{1,15}$/.test(text)) return Number(text);
    throw new CodedError(
      "ERR_OPTION_INVALID",
      `${option} must be a whole number, got ${JSON.stringify(text)}`,
    );
  };
}

/** Adds to the values of an option that may be given more than once. */
export function repeatedArgument(text: string, previous: readonly string[] | undefined): readonly string[] {
  return [...(previous ?? []), text];
}

function environmentName(flag: string): string {
  return `NYDUS_${flag.replace(/^--/, "").replaceAll("-", "_").toUpperCase()}`;
}

/** Commander takes the mere presence of a flag's variable as yes: `NYDUS_JSON=0` must not be one. */
function dropFalseVariables(program: Command): void {
  for (const option of [program, ...program.commands].flatMap((command) => command.options)) {
    const name = option.envVar;
    if (name === undefined || option.required || option.optional) continue;
    if (["", "0", "false", "no"].includes(process.env[name] ?? "1")) delete process.env[name];
  }
}

function helpEnd({ examples, exitStatus = [] }: CommandHelp): string {
  const replaced = new Set(exitStatus.map(([status]) => status));
  const rows = [...EXIT_STATUS.filter(([status]) => !replaced.has(status)), ...exitStatus];
  rows.sort(([left], [right]) => left - right);
  return [
    "",
    "Examples:",
    ...examples.flatMap(([line, does]) => [`  ${does}`, `    $ ${line}`]),
    "",
    "Exit status:",
    ...rows.map(([status, meaning]) => `  ${String(status).padEnd(5)}${meaning}`),
    "",
  ].join("\n");
}

function rootOf(command: Command): Command {
  return command.parent === null ? command : rootOf(command.parent);
}

/** A signal that fires on SIGINT or SIGTERM. A second one ends the program at once. */
function watchSignals(): AsyncDisposable & { readonly signal: AbortSignal } {
  const controller = new AbortController();
  const stop = (): void => {
    if (controller.signal.aborted) process.exit(130);
    controller.abort(new CodedError("ERR_ABORTED", "interrupted"));
  };
  process.on("SIGINT", stop).on("SIGTERM", stop);
  return {
    signal: controller.signal,
    async [Symbol.asyncDispose]() {
      process.off("SIGINT", stop).off("SIGTERM", stop);
    },
  };
}
