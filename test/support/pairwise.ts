/** Names of factors with the values each may take. */
export type Factors = Readonly<Record<string, readonly string[]>>;

/** One value for each factor. */
export type Combination = Readonly<Record<string, string>>;

/**
 * Combinations in which every two values of different factors meet: a fault that needs two options is met by one of
 * them. Greedy and deterministic; the first has the first value of every factor.
 */
export function pairwise(factors: Factors): Combination[] {
  const names = Object.keys(factors);
  const missing = new Set<string>();
  for (const [index, left] of names.entries()) {
    for (const right of names.slice(index + 1)) {
      for (const one of factors[left] ?? [])
        for (const other of factors[right] ?? []) missing.add(pairOf(left, one, right, other));
    }
  }
  const combinations: Combination[] = [];
  const take = (combination: Combination): void => {
    combinations.push(combination);
    for (const pair of pairsOf(combination)) missing.delete(pair);
  };
  take(Object.fromEntries(names.map((name) => [name, factors[name]?.[0] ?? ""])));
  for (let [pair] = missing; pair !== undefined; [pair] = missing) {
    const [left, one, right, other] = JSON.parse(pair) as [string, string, string, string];
    let combination: Combination = { [left]: one, [right]: other };
    for (const name of names) {
      if (name in combination) continue;
      const news = (value: string): number =>
        pairsOf({ ...combination, [name]: value }).filter((found) => missing.has(found)).length;
      const [best = ""] = [...(factors[name] ?? [])].sort((first, second) => news(second) - news(first));
      combination = { ...combination, [name]: best };
    }
    take(Object.fromEntries(names.map((name) => [name, combination[name] ?? ""])));
  }
  return combinations;
}

function pairsOf(combination: Combination): string[] {
  const values = Object.entries(combination);
  return values.flatMap(([left, one], index) =>
    values.slice(index + 1).map(([right, other]) => pairOf(left, one, right, other)),
  );
}

/** The same for both orders. */
function pairOf(left: string, one: string, right: string, other: string): string {
  return JSON.stringify(left < right ? [left, one, right, other] : [right, other, left, one]);
}
