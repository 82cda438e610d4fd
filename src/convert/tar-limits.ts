/** Bytes of one pax header or GNU long name record. Go's reader, and so containerd's, has the same limit. */
export const MAX_EXTENSION_SIZE = 1 << 20;

/** Extension headers in front of one entry: one of each kind and some slack. */
export const MAX_EXTENSIONS_PER_ENTRY = 16;

/** Records in one pax header; the shortest takes 5 bytes. */
export const MAX_PAX_RECORDS = 1 << 17;

/** Entries of one layer. */
export const MAX_LAYER_ENTRIES = 1 << 22;

/** Runs of bytes in one sparse file. */
export const MAX_SPARSE_RUNS = 1 << 17;

/**
 * Zeros that the sparse files of one layer stand for: 64 GiB, some minutes of work. They cost the sender nothing, and a
 * layer can hold millions of such files.
 */
export const MAX_HOLES_SIZE = 2 ** 36;

/** Bytes of one file, holes included: 1 TiB. A header of 1 KiB can ask for any number of zeros. */
export const MAX_FILE_SIZE = 2 ** 40;

/** Extended attributes of one inode. */
export const MAX_XATTRS = 512;

/** Bytes of the name of an extended attribute, prefix included, as Linux bounds it. */
export const MAX_XATTR_NAME_SIZE = 255;

/** Bytes of the value of an extended attribute: the size field of the image has 16 bits. */
export const MAX_XATTR_VALUE_SIZE = 0xffff;

/** Largest device numbers that Linux can hold. */
export const MAX_DEVICE_MAJOR = 0xfff;
export const MAX_DEVICE_MINOR = 0xfffff;

/** Largest user and group ids. */
export const MAX_ID = 0xffff_ffff;
