/** Who is measured: each as its own documentation sets it up. */
import { MemorySaver } from "@langchain/langgraph";
import { PostgresSaver } from "@langchain/langgraph-checkpoint-postgres";
import { ResilientPostgresSaver } from "langgraph-resilience/persistence";

/** @typedef {import("@langchain/langgraph").BaseCheckpointSaver} Saver */
/** @typedef {import("pg").Pool} Pool */

/**
 * @typedef {object} Contender
 * @property {string} name
 * @property {string} title
 * @property {string} setup
 * @property {"none" | "memory" | "postgres" | "pglite"} database
 * @property {boolean} [ours]
 * @property {boolean} [bounded] stores every turn of a chat in about the same room, so that long ones can be afforded
 * @property {(pool: Pool, schema: string) => Saver & { setup(): Promise<void> }} [open] of those on a database
 */

const stock = (/** @type {Pool} */ pool, /** @type {string} */ schema) =>
  new PostgresSaver(pool, undefined, { schema });
const ours = (/** @type {Pool} */ pool, /** @type {string} */ schema) =>
  new ResilientPostgresSaver(pool, undefined, { schema });
const compatible = (/** @type {Pool} */ pool, /** @type {string} */ schema) => {
  const options = { schema, compatible: true };
  return new ResilientPostgresSaver(pool, undefined, options);
};

/** @type {readonly Contender[]} */
export const CONTENDERS = [
  { name: "none", title: "no saver", setup: "`compile()`", database: "none" },
  { name: "memory", title: "MemorySaver", setup: "`new MemorySaver()`", database: "memory" },
  { name: "stock", title: "PostgresSaver", setup: "`new PostgresSaver(pool)`", database: "postgres", open: stock },
  {
    name: "ours",
    title: "ours",
    setup: "`new ResilientPostgresSaver(pool)`",
    database: "postgres",
    ours: true,
    bounded: true,
    open: ours,
  },
  {
    name: "compatible",
    title: "ours, compatible",
    setup: "`new ResilientPostgresSaver(pool, undefined, { compatible: true })`, which writes the stock saver's format",
    database: "postgres",
    ours: true,
    open: compatible,
  },
  {
    name: "stock-pglite",
    title: "PostgresSaver on PGlite",
    setup: "the stock saver on an embedded Postgres in a folder, behind an adapter of this benchmark",
    database: "pglite",
    open: stock,
  },
  {
    name: "ours-pglite",
    title: "ours on PGlite",
    setup: "ResilientPostgresSaver on the same adapter",
    database: "pglite",
    ours: true,
    bounded: true,
    open: ours,
  },
];

export const newMemorySaver = () => new MemorySaver();
