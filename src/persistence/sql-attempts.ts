import type { AttemptRecord } from "../core/records.js";
import type { AttemptStore, AttemptsState } from "../core/store-ports.js";
import { jsonText } from "./json-text.js";
import type { SqlPool } from "./sql-pool.js";
import { repeatableQuery } from "./sql-query.js";
import { fromStorableJson, toStorableJson, toStorableText } from "./storable-text.js";

interface Row {
  record: AttemptRecord;
  state: AttemptsState;
}

/**
 * One row for each failed attempt. A row is born `open` and `mark` sets all that are there, so a step with any open row
 * is open, and an attempt is added by one insert that changes nothing when it is repeated, however late.
 */
export function createSqlAttempts(open: () => Promise<SqlPool>, schema: string): AttemptStore {
  const at = `"${schema}".lgr_attempts`;
  const query = repeatableQuery(open);
  const where = "where thread_id = $1 and step = $2";
  return {
    async append({ threadId, step }, attempt) {
      const json = toStorableJson(jsonText(`Attempt ${attempt.number} of step "${step}"`, attempt));
      await query(
        `insert into ${at} (thread_id, step, number, record, state) values ($1, $2, $3, $4, 'open')
          on conflict (thread_id, step, number) do nothing`,
        [toStorableText(threadId), toStorableText(step), attempt.number, json],
      );
    },
    async mark({ threadId, step }, state) {
      await query(`update ${at} set state = $3 ${where} and state <> $3`, [
        toStorableText(threadId),
        toStorableText(step),
        state,
      ]);
    },
    async load({ threadId, step }) {
      const rows = await query<Row>(`select record, state from ${at} ${where} order by number`, [
        toStorableText(threadId),
        toStorableText(step),
      ]);
      const [first] = rows;
      if (first === undefined) return undefined;
      return {
        attempts: rows.map((row) => fromStorableJson(row.record)),
        state: rows.some((row) => row.state === "open") ? "open" : first.state,
      };
    },
    async clear({ threadId, step }) {
      await query(`delete from ${at} ${where}`, [toStorableText(threadId), toStorableText(step)]);
    },
  };
}
