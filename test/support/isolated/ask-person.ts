/** Work that asks a person, as a node may and a worker thread may not. */
import { interrupt } from "@langchain/langgraph";

export default function askPerson(): unknown {
  return interrupt("may I?");
}
