import { type ByteString, byteString, isZero } from "../base/bytes.ts";
import { CodedError } from "../base/errors.ts";
import type { ByteReader } from "./byte-reader.ts";
import {
  decodeTarHeader,
  decodeTarNames,
  hasTarChecksum,
  TAR_BLOCK_SIZE,
  type TarHeader,
  type TarNames,
} from "./tar-header.ts";
import {
  MAX_EXTENSION_SIZE,
  MAX_EXTENSIONS_PER_ENTRY,
  MAX_FILE_SIZE,
  MAX_HOLES_SIZE,
  MAX_LAYER_ENTRIES,
} from "./tar-limits.ts";
import { type PaxRecord, parsePaxInteger, parsePaxRecords } from "./tar-pax.ts";
import {
  checkSparseMap,
  readGnuSparseMap,
  readSparseLines,
  type SparseMap,
  sparseMapOfPax,
} from "./tar-sparse.ts";

/** What the headers of one member say. */
export interface TarMember {
  readonly header: TarHeader;
  readonly names: TarNames;
  /** Where its last header lies in the layer, for messages. */
  readonly offset: number;
  /** Records that hold for this member, global ones first. */
  readonly pax: readonly PaxRecord[];
  readonly longName: ByteString | undefined;
  readonly longLink: ByteString | undefined;
  /** Set for sparse files: only the runs are stored. */
  readonly sparse: SparseMap | undefined;
  /** Bytes of the member that are stored next. */
  readonly storedSize: number;
}

/** Types whose members have content: regular, sparse and contiguous files. */
const FILE_TYPES = "0S7";

/** Types without content, whatever their size field says (old tars put the size of the target there). */
const EMPTY_TYPES = "123456";

/**
 * Reads the headers of a tar, member by member, with extension headers taken together with what they belong to.
 *
 * When a member is yielded its stored bytes are the next of `reader`; what of them was not read is passed over. Reads
 * the source to its end, past the end marker.
 *
 * @throws {CodedError} ERR_LAYER_INVALID for a broken archive, ERR_FEATURE_UNSUPPORTED for a member of a
 *   type that no unpacker of images knows, ERR_LIMIT_EXCEEDED beyond tar-limits.ts.
 */
export async function* readMembers(reader: ByteReader): AsyncGenerator<TarMember, void, undefined> {
  let globalPax: readonly PaxRecord[] = [];
  let holesSize = 0;
  for (let count = 0; ; count++) {
    if (count > MAX_LAYER_ENTRIES) {
      throw new CodedError("ERR_LIMIT_EXCEEDED", `layer has more than ${MAX_LAYER_ENTRIES} entries`);
    }
    const found = await readHeaders(reader, globalPax);
    if (found === undefined) break;
    globalPax = found.globalPax;
    const member = await readMember(reader, found);
    holesSize += member.sparse === undefined ? 0 : member.sparse.size - member.storedSize;
    if (holesSize > MAX_HOLES_SIZE) {
      throw new CodedError(
        "ERR_LIMIT_EXCEEDED",
        `sparse files of the layer have over ${MAX_HOLES_SIZE} zeros`,
      );
    }
    const end = reader.offset + member.storedSize;
    yield member;
    await reader.skipExactly(end - reader.offset, contentOf(member));
    // The padding of the last member may be missing: nothing is lost with it.
    await reader.skip(paddingOf(member.storedSize));
  }
  await reader.drain();
}

interface FoundHeaders extends Omit<TarMember, "sparse" | "storedSize"> {
  readonly raw: Uint8Array;
  readonly globalPax: readonly PaxRecord[];
}

/** Reads extension headers up to and including the header they belong to; `undefined` at the end. */
async function readHeaders(
  reader: ByteReader,
  lowerPax: readonly PaxRecord[],
): Promise<FoundHeaders | undefined> {
  let globalPax = lowerPax;
  let pax: readonly PaxRecord[] = [];
  let longName: ByteString | undefined;
  let longLink: ByteString | undefined;
  for (let count = 0; count <= MAX_EXTENSIONS_PER_ENTRY; count++) {
    const offset = reader.offset;
    const raw = await readHeader(reader);
    if (raw === undefined) {
      if (pax.length === 0 && longName === undefined && longLink === undefined) return undefined;
      throw new CodedError(
        "ERR_LAYER_INVALID",
        `layer ends at byte ${offset}, after an extension header without an entry`,
      );
    }
    const header = decodeTarHeader(raw, offset);
    if (header.type === "x") pax = parsePaxRecords(await readExtension(reader, header, offset));
    else if (header.type === "g") {
      globalPax = mergeGlobal(globalPax, parsePaxRecords(await readExtension(reader, header, offset)));
    } else if (header.type === "L") longName = untilNul(await readExtension(reader, header, offset));
    else if (header.type === "K") longLink = untilNul(await readExtension(reader, header, offset));
    else {
      const names = decodeTarNames(raw);
      return { header, names, offset, raw, globalPax, pax: joined(globalPax, pax), longName, longLink };
    }
  }
  throw new CodedError(
    "ERR_LIMIT_EXCEEDED",
    `more than ${MAX_EXTENSIONS_PER_ENTRY} extension headers at byte ${reader.offset} of the layer`,
  );
}

/** The next header; `undefined` at the end marker, or where the layer stops in its place. */
async function readHeader(reader: ByteReader): Promise<Uint8Array | undefined> {
  const offset = reader.offset;
  const raw = await reader.read(TAR_BLOCK_SIZE);
  if (raw.length === 0) return undefined;
  if (raw.length < TAR_BLOCK_SIZE) {
    throw new CodedError(
      "ERR_LAYER_INVALID",
      `layer ends at byte ${reader.offset}, inside the tar header at byte ${offset}`,
    );
  }
  if (!isZero(raw)) return raw;
  const next = await reader.read(TAR_BLOCK_SIZE);
  if (isZero(next)) return undefined;
  // Going on would show what other tools hide, stopping would hide what they show.
  throw new CodedError("ERR_LAYER_INVALID", `tar has a lone zero block at byte ${offset}`);
}

async function readMember(reader: ByteReader, found: FoundHeaders): Promise<TarMember> {
  const { header, names, offset, pax, longName, longLink } = found;
  if (!FILE_TYPES.includes(header.type) && !EMPTY_TYPES.includes(header.type)) {
    throw new CodedError(
      "ERR_FEATURE_UNSUPPORTED",
      `tar entry at byte ${offset} has the type ${JSON.stringify(header.type)}, which images do not have`,
    );
  }
  const sizeRecord = pax.findLast(({ key, value }) => key === "size" && value.length > 0);
  const size = sizeRecord === undefined ? header.size : parsePaxInteger("size", sizeRecord.value);
  if (size < 0)
    throw new CodedError("ERR_LAYER_INVALID", `tar entry at byte ${offset} has a size of ${size}`);
  if (size > MAX_FILE_SIZE) {
    throw new CodedError(
      "ERR_LIMIT_EXCEEDED",
      `tar entry at byte ${offset} has ${size} bytes, at most ${MAX_FILE_SIZE} are read`,
    );
  }
  if (EMPTY_TYPES.includes(header.type)) {
    if (header.type === "1" && size > 0) await skipLinkContent(reader, size);
    return { header, names, offset, pax, longName, longLink, sparse: undefined, storedSize: 0 };
  }
  const { sparse, storedSize } = await readSparse(reader, found, size);
  return { header, names, offset, pax, longName, longLink, sparse, storedSize };
}

async function readSparse(
  reader: ByteReader,
  { raw, header, pax }: FoundHeaders,
  size: number,
): Promise<{ readonly sparse: SparseMap | undefined; readonly storedSize: number }> {
  if (header.type === "S") {
    return { sparse: checkSparseMap(await readGnuSparseMap(raw, reader), size), storedSize: size };
  }
  const find = (key: string): Uint8Array | undefined => pax.findLast((record) => record.key === key)?.value;
  const major = find("GNU.sparse.major");
  const realSize = find("GNU.sparse.realsize");
  if (major !== undefined && realSize !== undefined) {
    const version = `${byteString(major)}.${byteString(find("GNU.sparse.minor") ?? new Uint8Array(0))}`;
    if (version !== "1.0") {
      throw new CodedError("ERR_FEATURE_UNSUPPORTED", `sparse file of GNU format ${JSON.stringify(version)}`);
    }
    const { runs, mapSize } = await readSparseLines(reader, size);
    const map = { size: parsePaxInteger("GNU.sparse.realsize", realSize), runs };
    return { sparse: checkSparseMap(map, size - mapSize), storedSize: size - mapSize };
  }
  const map = sparseMapOfPax(pax);
  return { sparse: map === undefined ? undefined : checkSparseMap(map, size), storedSize: size };
}

/**
 * Content after a hard link header: pax allows it, but most writers state the size of the target and write
 * nothing. Only the next bytes tell: a header (or the end) means nothing was written.
 */
async function skipLinkContent(reader: ByteReader, size: number): Promise<void> {
  const next = await reader.peek(TAR_BLOCK_SIZE);
  if (isZero(next) || hasTarChecksum(next)) return;
  await reader.skipExactly(size, "the content of a hard link");
  await reader.skip(paddingOf(size));
}

async function readExtension(reader: ByteReader, header: TarHeader, offset: number): Promise<Uint8Array> {
  if (header.size < 0 || header.size > MAX_EXTENSION_SIZE) {
    throw new CodedError(
      "ERR_LIMIT_EXCEEDED",
      `extension header at byte ${offset} of the layer has ${header.size} bytes, at most ${MAX_EXTENSION_SIZE} are read`,
    );
  }
  // Records outlive the piece they came in.
  const bytes = (await reader.readExactly(header.size, `the extension header at byte ${offset}`)).slice();
  await reader.skip(paddingOf(header.size));
  return bytes;
}

function mergeGlobal(lower: readonly PaxRecord[], upper: readonly PaxRecord[]): PaxRecord[] {
  const keys = new Set(upper.map(({ key }) => key));
  return [...lower.filter(({ key }) => !keys.has(key)), ...upper];
}

function joined(lower: readonly PaxRecord[], upper: readonly PaxRecord[]): readonly PaxRecord[] {
  return lower.length === 0 ? upper : [...lower, ...upper];
}

/** Names the content of a member in messages. */
export function contentOf({ offset }: TarMember): string {
  return `the content of the entry at byte ${offset}`;
}

function untilNul(bytes: Uint8Array): ByteString {
  const end = bytes.indexOf(0);
  return byteString(bytes, 0, end < 0 ? bytes.length : end);
}

function paddingOf(size: number): number {
  return (TAR_BLOCK_SIZE - (size % TAR_BLOCK_SIZE)) % TAR_BLOCK_SIZE;
}
