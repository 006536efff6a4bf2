import type { StreamPart, StreamScope, StreamStore } from "../core/store-ports.js";
import { jsonText } from "./json-text.js";
import type { SqlPool } from "./sql-pool.js";
import { repeatableQuery } from "./sql-query.js";
import { fromStorableJson, fromStorableText, toStorableJson, toStorableText } from "./storable-text.js";
import { joinedParts } from "./stream-chain.js";

interface Row {
  seq: number;
  text: string;
  tokens: number;
  writer: string;
  after: string | null;
  ending: object | null;
}

const ofStream = "thread_id = $1 and node = $2 and step = $3 and stream = $4";

/**
 * Gives a row where the part is stored, by this statement or by an earlier try of it whose reply was lost. The update
 * changes nothing: without one a conflict gives no row, whoever wrote the one that is there.
 */
const appendSql = (at: string) => `
  insert into ${at} as p (thread_id, node, step, stream, seq, writer, after, text, tokens, ending)
  select $1, $2, $3, $4, $5::int, $6, $7::text, $8, $9::int, $10::json
  where $5::int = 0 or exists (select 1 from ${at} where ${ofStream} and seq = $5::int - 1 and writer = $7::text)
  on conflict (thread_id, node, step, stream, seq) do update set seq = excluded.seq where p.writer = excluded.writer
  returning 1`;

/** One row a part, and nothing is ever read or written twice on the way: a text of n parts is n inserts. */
export function createSqlStreams(open: () => Promise<SqlPool>, schema: string): StreamStore {
  const at = `"${schema}".lgr_streams`;
  const query = repeatableQuery(open);
  return {
    async append(scope, part) {
      const { seq, writer, after, text, tokens, end } = part;
      const ending = end === undefined ? null : toStorableJson(jsonText(`The end of stream "${scope.stream}"`, end));
      const names = [toStorableText(writer), after === undefined ? null : toStorableText(after)];
      const values = [...keyOf(scope), seq, ...names, toStorableText(text), tokens, ending];
      return (await query(appendSql(at), values)).length === 1;
    },
    async load(scope) {
      const rows = await query<Row>(
        `select seq, text, tokens, writer, after, ending from ${at} where ${ofStream} order by seq`,
        keyOf(scope),
      );
      return joinedParts(rows.map(toPart));
    },
    async truncate(scope, seq, writer) {
      await query(`delete from ${at} where ${ofStream} and seq >= $5 and writer = $6`, [
        ...keyOf(scope),
        seq,
        toStorableText(writer),
      ]);
    },
    async clear(scope) {
      await query(`delete from ${at} where ${ofStream}`, keyOf(scope));
    },
    async clearOtherSteps({ threadId, node, step }) {
      await query(`delete from ${at} where thread_id = $1 and node = $2 and step <> $3`, [
        toStorableText(threadId),
        toStorableText(node),
        toStorableText(step),
      ]);
    },
  };
}

function keyOf({ threadId, node, step, stream }: StreamScope): string[] {
  return [threadId, node, step, stream].map(toStorableText);
}

function toPart({ seq, text, tokens, writer, after, ending }: Row): StreamPart {
  return {
    seq,
    text: fromStorableText(text),
    tokens,
    writer: fromStorableText(writer),
    ...(after === null ? {} : { after: fromStorableText(after) }),
    ...(ending === null ? {} : { end: fromStorableJson(ending) }),
  };
}
