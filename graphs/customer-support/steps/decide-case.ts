import { decide } from "../rules.js";
import { type CustomerSupport, present, type Update } from "../state.js";

export async function decideCase(state: CustomerSupport): Promise<Update> {
  return { decision: decide(present(state, "request"), state.order) };
}
