import * as v from "valibot";

/** Where a value is not of the shape that was wanted. The value itself is not told: it may be a secret. */
export interface ShapeFault {
  /** Dotted path of the field; empty for the whole. */
  readonly key: string;
  readonly wanted: string;
  /** True for a field that the shape does not have. */
  readonly isUnknown: boolean;
}

/** A value of a shape, or the first fault of one that is not. */
export function checkShape<Schema extends v.GenericSchema>(
  schema: Schema,
  value: unknown,
): { readonly value: v.InferOutput<Schema> } | { readonly fault: ShapeFault } {
  const parsed = v.safeParse(schema, value, { abortEarly: true });
  if (parsed.success) return { value: parsed.output };
  const [issue] = parsed.issues as [v.BaseIssue<unknown>, ...v.BaseIssue<unknown>[]];
  return {
    fault: {
      key: v.getDotPath(issue) ?? "",
      wanted: issue.expected ?? issue.type,
      isUnknown: issue.expected === "never",
    },
  };
}
