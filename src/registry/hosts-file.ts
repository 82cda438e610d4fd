import { resolve } from "node:path";
import { parse, TomlError } from "smol-toml";
import { CodedError } from "../base/errors.ts";
import type { Need } from "./endpoint.ts";

/** What a hosts.toml says about one server. */
export interface HostSection {
  /** As it is written: with a scheme or without. */
  readonly server: string;
  readonly needs: readonly Need[];
  /** Files of certificates that are trusted. */
  readonly certificateFiles: readonly string[];
  /** Files of the certificate and the key that we show; the same one when it has both. */
  readonly clientFiles: readonly [certificate: string, key: string] | undefined;
  readonly headers: Readonly<Record<string, string>>;
  /** Whether the path of `server` is the whole path of the API, rather than what comes before `/v2`. */
  readonly isPathWhole: boolean;
}

/** What a hosts.toml says. */
export interface HostsFile {
  /** In the order of the file. */
  readonly mirrors: readonly HostSection[];
  /** The registry itself. */
  readonly registry: HostSection;
}

/** Bytes and mirrors of a hosts.toml that are read. */
const MAX_FILE_SIZE = 2 ** 20;
const MAX_MIRRORS = 64;

const NEEDS: readonly Need[] = ["pull", "resolve", "push"];
const KEYS = ["capabilities", "ca", "client", "skip_verify", "header", "override_path", "dial_timeout"];

type Table = Readonly<Record<string, unknown>>;

/**
 * Reads a file that says which servers answer for a registry.
 *
 * @param folder Where the file lies: what it names is relative to that.
 * @param registry The server of a file that names none.
 * @throws {CodedError} ERR_OPTION_INVALID for a file that breaks the form, has a key of unknown meaning, or asks not to
 *   verify certificates. No message shows values, which may be secret.
 * @see containerd docs/hosts.md
 */
export function parseHostsFile(text: string, path: string, folder: string, registry: string): HostsFile {
  const reader = new HostsReader(path, folder);
  const root = reader.parse(text);
  const { host = {}, server = registry, ...own } = root;
  if (!isTable(host)) throw reader.fault("host is no table");
  if (typeof server !== "string") throw reader.fault("server is no string");
  const mirrors = Object.entries(host);
  if (mirrors.length > MAX_MIRRORS) throw reader.fault(`there are over ${MAX_MIRRORS} hosts`);
  return {
    mirrors: mirrors.map(([name, table]) => {
      if (!isTable(table)) throw reader.fault(`host ${name} is no table`);
      return reader.section(name, table);
    }),
    registry: reader.section(server, own),
  };
}

class HostsReader {
  readonly #path: string;
  readonly #folder: string;

  constructor(path: string, folder: string) {
    this.#path = path;
    this.#folder = folder;
  }

  parse(text: string): Table {
    if (text.length > MAX_FILE_SIZE) throw this.fault(`it has over ${MAX_FILE_SIZE} bytes`);
    try {
      return parse(text);
    } catch (error) {
      // The parser quotes the lines around a fault.
      throw this.fault(error instanceof TomlError ? `line ${error.line} is no TOML` : "it is no TOML");
    }
  }

  section(server: string, table: Table): HostSection {
    const unknown = Object.keys(table).find((key) => !KEYS.includes(key));
    if (unknown !== undefined) throw this.fault(`${server} has the unknown key ${unknown}`);
    if (table["skip_verify"] === true) {
      throw this.fault(`${server} asks for skip_verify, which is not done: name its certificate with ca`);
    }
    const needs = this.#strings(table["capabilities"] ?? NEEDS, "capabilities");
    const wrong = needs.find((need) => !(NEEDS as readonly string[]).includes(need));
    if (wrong !== undefined) throw this.fault(`${server} has the unknown capability ${wrong}`);
    return {
      server,
      needs: needs as readonly Need[],
      certificateFiles: this.#strings(table["ca"] ?? [], "ca").map((file) => this.#file(file)),
      clientFiles: this.#clientFiles(table["client"]),
      headers: this.#headers(table["header"] ?? {}),
      isPathWhole: table["override_path"] === true,
    };
  }

  fault(what: string): CodedError {
    return new CodedError("ERR_OPTION_INVALID", `${this.#path}: ${what}`);
  }

  #clientFiles(value: unknown): readonly [string, string] | undefined {
    if (value === undefined) return undefined;
    const rows = Array.isArray(value) ? value : [value];
    const [certificate, key = certificate] = this.#strings(rows[0], "client").map((file) => this.#file(file));
    if (certificate === undefined || key === undefined || rows.length > 1) {
      throw this.fault('client must be "FILE" or [["CERTIFICATE", "KEY"]]');
    }
    return [certificate, key];
  }

  #headers(value: unknown): Record<string, string> {
    if (!isTable(value)) throw this.fault("header is no table");
    const rows = Object.entries(value).map(([name, given]) => {
      const text = this.#strings(given, `header ${name}`).join(", ");
      if (!/^[\w-]+$/.test(name) || !/^[\x20-\x7e]*$/.test(text)) {
        throw this.fault(`header ${JSON.stringify(name)} cannot be sent`);
      }
      return [name.toLowerCase(), text];
    });
    return Object.fromEntries(rows) as Record<string, string>;
  }

  #strings(value: unknown, what: string): readonly string[] {
    const rows: readonly unknown[] = Array.isArray(value) ? value : [value];
    if (!rows.every((row) => typeof row === "string")) throw this.fault(`${what} is no string`);
    return rows;
  }

  #file(name: string): string {
    return resolve(this.#folder, name);
  }
}

function isTable(value: unknown): value is Table {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
