/** Something that takes a while and can say at any moment how far it is. */
export interface Progress {
  /** What is under way, one line each, for a terminal that is drawn anew many times a second. */
  lines(columns: number): readonly string[];
  /** All of it in one line, for a log. Called when the line is printed: rates may be since the last call. */
  summary(): string;
  /** The same as fields, for a JSON line. */
  fields(): object;
}
