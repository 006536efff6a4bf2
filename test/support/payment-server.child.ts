/** A payment server in a process of its own: prints its address as a line, and ends when its input does. */
import { startPaymentServer } from "./payment-server.js";

const [keys = "", logFile = ""] = process.argv.slice(2);
const server = await startPaymentServer({ honoursKeys: keys === "honours-keys", logFile });
process.stdout.write(`${server.url}\n`);
process.stdin.resume().on("end", () => void server.close());
