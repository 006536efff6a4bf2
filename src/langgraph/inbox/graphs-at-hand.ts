import type { GraphLike } from "../threads/graph.js";

export type FoundGraph = GraphLike | undefined;

/** Compiled graphs by the name that their threads have, or what finds one. */
export type GivenGraphs = Readonly<Record<string, GraphLike>> | ((name: string) => FoundGraph | Promise<FoundGraph>);

export interface GraphsAtHand {
  /** @throws what the given function throws */
  find(name: string): Promise<FoundGraph>;
  /** Asks again for each: one that could not be had may be there by now. */
  forget(): void;
}

/** Each is asked for once, however many questions it has. */
export function graphsAtHand(given: GivenGraphs = {}): GraphsAtHand {
  const found = new Map<string, Promise<FoundGraph>>();
  const ask = async (name: string): Promise<FoundGraph> => {
    if (typeof given === "function") return given(name);
    return Object.hasOwn(given, name) ? given[name] : undefined;
  };
  return {
    find(name) {
      const known = found.get(name);
      if (known !== undefined) return known;
      const asked = ask(name);
      found.set(name, asked);
      return asked;
    },
    forget: () => found.clear(),
  };
}
