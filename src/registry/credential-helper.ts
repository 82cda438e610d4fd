import { spawn } from "node:child_process";
import { CodedError } from "../base/errors.ts";
import { decodeJsonObject } from "../format/oci/json.ts";
import type { Credentials } from "./credentials.ts";

/** Bytes of a helper's answer that are read. */
const MAX_ANSWER_SIZE = 64 * 1024;
/** Milliseconds a helper may take: some ask the user. */
const TIMEOUT_MS = 60_000;
/** The user name by which a helper says that its secret is an identity token. */
const TOKEN_USER = "<token>";

/**
 * Asks `docker-credential-NAME get` for the credentials of a server.
 *
 * @returns `undefined` when the helper has none.
 * @throws {CodedError} ERR_CREDENTIALS_INVALID when it cannot be run or answers nonsense. The message
 *   never holds what it printed.
 * @see docker-credential-helpers, README: the protocol on stdin and stdout
 */
export async function runCredentialHelper(name: string, server: string): Promise<Credentials | undefined> {
  const program = `docker-credential-${name}`;
  const refuse = (why: string): CodedError =>
    new CodedError("ERR_CREDENTIALS_INVALID", `credential helper ${program} for ${server} ${why}`);
  if (!/^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/.test(name)) {
    throw new CodedError(
      "ERR_CREDENTIALS_INVALID",
      `credential helper ${JSON.stringify(name.slice(0, 80))} is no name`,
    );
  }
  const { output, status } = await runProgram(program, server).catch((cause: unknown) => {
    const why =
      cause instanceof Error && "code" in cause && cause.code === "ENOENT" ? "is not on PATH" : "did not run";
    throw refuse(why);
  });
  if (status !== 0) {
    if (/credentials not found/i.test(output.toString("utf8"))) return undefined;
    throw refuse(`ended with status ${status}`);
  }
  let answer: Readonly<Record<string, unknown>>;
  try {
    answer = decodeJsonObject(output, program, MAX_ANSWER_SIZE);
  } catch {
    throw refuse("did not answer with a JSON object");
  }
  const { Username, Secret } = answer;
  if (typeof Username !== "string" || typeof Secret !== "string") throw refuse("gave no Username and Secret");
  if (Secret === "") return undefined;
  return Username === TOKEN_USER
    ? { kind: "identity-token", token: Secret }
    : { kind: "password", username: Username, password: Secret };
}

function runProgram(program: string, server: string): Promise<{ output: Buffer; status: number | null }> {
  return new Promise((resolve, reject) => {
    const child = spawn(program, ["get"], {
      stdio: ["pipe", "pipe", "ignore"],
      // Not spawn's own timeout: its timer outlives a program that was not found.
      signal: AbortSignal.timeout(TIMEOUT_MS),
    });
    const parts: Buffer[] = [];
    let size = 0;
    child.stdout.on("data", (part: Buffer) => {
      size += part.length;
      if (size > MAX_ANSWER_SIZE) child.kill();
      else parts.push(part);
    });
    // A helper that ends without reading its input is judged by its status.
    child.stdin.on("error", () => undefined);
    child.stdin.end(`${server}\n`);
    child.on("error", reject);
    child.on("close", (status) => resolve({ output: Buffer.concat(parts), status }));
  });
}
