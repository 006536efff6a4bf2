/** What is killed. One scenario more is an entry in `openScenarios`; a shipped graph more has a child script like those here. */
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { compiled, startPayments } from "./world.mjs";

/**
 * @typedef {object} KillScenario
 * @property {string} title
 * @property {readonly string[]} command the process that does one unit of work, or goes on with it
 * @property {(thread: string) => Record<string, string>} envOf
 * @property {readonly string[]} expected what has to have happened in the world at the end, each once
 * @property {(thread: string) => Promise<readonly string[]>} happened
 */

/** What the order of the crash tests does. */
const ORDER = ["order", "charge", "reserve", "letter"];
/** What is taken back of that of the rollback test, and done anew. */
const TAKEN_BACK = ["create", "charge", "reserve", "letter"];

/**
 * @param {import("./world.mjs").World} world
 * @param {string} database
 * @returns {Promise<{ scenarios: KillScenario[], close: () => Promise<void> }>}
 */
export async function openScenarios(world, database) {
  const { folder } = world;
  const [effects = [], rollback = [], transaction = [], orderSaga = []] = await Promise.all(
    [
      new URL("../../test/crash/effects.child.ts", import.meta.url),
      new URL("../../test/crash/rollback.child.ts", import.meta.url),
      new URL("../../test/crash/transaction.child.ts", import.meta.url),
      new URL("order-saga.child.ts", import.meta.url),
    ].map(async (script) => [process.execPath, await compiled(script, folder)]),
  );
  // What draws its chart is not to be had in one file.
  const report = new URL("quarterly-report.child.ts", import.meta.url);
  const quarterlyReport = [process.execPath, "--import", "tsx", fileURLToPath(report)];
  const servers = { keys: await startPayments(world, true), others: await startPayments(world, false) };
  const journal = (/** @type {string} */ thread) => join(folder, thread);
  const place = (/** @type {string} */ thread, /** @type {{ url: string }} */ server) => ({
    DATABASE: database,
    THREAD: thread,
    SERVER: server.url,
    JOURNAL: journal(thread),
  });

  /** @type {KillScenario[]} */
  const orders = ["keys", "probe", "person"].flatMap((clearedBy) =>
    ["sync", "async"].map((durability) => {
      const server = clearedBy === "keys" ? servers.keys : servers.others;
      return {
        title: `an order; doubts cleared by ${clearedBy}, ${durability}`,
        command: effects,
        envOf: (thread) => ({ ...place(thread, server), CLEARED_BY: clearedBy, DURABILITY: durability }),
        expected: ORDER,
        happened: async (thread) => (await logOf(server.url, thread)).map((line) => line.replace(/ \d+$/, "")),
      };
    }),
  );
  /** @type {KillScenario[]} */
  const rollbacks = ["keys", "asking", "refused"].map((undoneBy) => {
    const server = undoneBy === "asking" ? servers.others : servers.keys;
    return {
      title: `an order taken back; undoing made good by ${undoneBy === "refused" ? "keys, one refused at first" : undoneBy}`,
      command: rollback,
      envOf: (thread) => ({ ...place(thread, server), UNDONE_BY: undoneBy }),
      expected: ["quote 1", ...TAKEN_BACK.flatMap((name) => [`${name} 1`, `undo ${name} 1`, `${name} 2`])],
      happened: (thread) => logOf(server.url, thread),
    };
  });
  /** @type {KillScenario} */
  const trip = {
    title: "a transaction that fails at first",
    command: transaction,
    envOf: (thread) => place(thread, servers.keys),
    // How often it is begun anew depends on where the kill was; what stands does not.
    expected: ["insurance", "flight", "hotel", "car"],
    happened: async (thread) => {
      const lines = await logOf(servers.keys.url, thread);
      const standing = lines.filter((line) => !line.startsWith("undo ") && !lines.includes(`undo ${line}`));
      return standing.map((line) => line.replace(/ \d+$/, ""));
    },
  };
  const graph = (/** @type {string} */ thread) => ({
    DATABASE: database,
    THREAD: thread,
    // No model but the bundled one is asked.
    OPENAI_API_KEY: "",
    SMTP_URL: "",
  });
  const saga = (/** @type {string} */ thread) => ({
    ...graph(thread),
    ORDER_SAGA_FOLDER: journal(thread),
  });
  const shop = async (/** @type {string} */ thread) => bookingsIn(join(journal(thread), "shop.jsonl"));
  const csv = fileURLToPath(new URL("../../graphs/quarterly-report/data/apple-income-quarterly.csv", import.meta.url));
  /** @type {KillScenario[]} */
  const shipped = [
    {
      title: "graph order-saga",
      command: orderSaga,
      envOf: saga,
      expected: ["orders", "charges", "mails"],
      happened: shop,
    },
    {
      title: "graph order-saga, rolled back to before the charge and run again",
      command: orderSaga,
      envOf: (thread) => ({ ...saga(thread), ROLL_BACK_BEFORE: "charge" }),
      // The second mail takes the first one back.
      expected: ["orders", "charges", "mails", "mails", "refunds", "charges", "mails"],
      happened: shop,
    },
    {
      title: "graph quarterly-report",
      command: quarterlyReport,
      envOf: (thread) => ({
        ...graph(thread),
        INPUT: JSON.stringify({ fiscalYear: 2024, fiscalQuarter: 3, csv, outputDir: folder }),
      }),
      expected: ["mail"],
      happened: async (thread) =>
        readdirSync(join(journal(thread), "outbox"))
          .filter((file) => file.endsWith(".eml"))
          .map(() => "mail"),
    },
  ];
  return {
    scenarios: [...orders, ...rollbacks, trip, ...shipped],
    close: async () => void (await Promise.all([servers.keys.close(), servers.others.close()])),
  };
}

/**
 * What the payment server did for an order: "charge 1", "undo charge 1", "charge 2".
 *
 * @param {string} server
 * @param {string} order
 */
async function logOf(server, order) {
  /** @type {any[]} */
  const log = /** @type {any} */ (await (await fetch(`${server}/log`)).json());
  /** @type {Map<string, number>} */
  const times = new Map();
  /** @type {Map<string, string>} */
  const lineById = new Map();
  return log.flatMap(({ kind, id, name, input }) => {
    if (kind === "undo") return lineById.has(input.id) ? [`undo ${lineById.get(input.id)}`] : [];
    if (input.order !== order) return [];
    times.set(name, (times.get(name) ?? 0) + 1);
    const line = `${name} ${times.get(name)}`;
    lineById.set(id, line);
    return [line];
  });
}

/** What counts in the order-saga shop's journal: of several lines with one key the first. */
function bookingsIn(/** @type {string} */ path) {
  const keys = new Set();
  return readFileSync(path, "utf8")
    .split("\n")
    .filter(Boolean)
    .map((line) => JSON.parse(line))
    .filter(({ key }) => !keys.has(key) && keys.add(key))
    .map(({ what }) => String(what));
}
