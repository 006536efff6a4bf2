import { z } from "zod";
import type { Channel } from "../core/notice-ports.js";
import { parseOptions } from "../core/options.js";
import { ConfigError } from "../errors/own-errors.js";
import { type ChannelOptions, channelShape, peopleShape, unprinted } from "./channel-options.js";
import { chosenWords } from "./chosen-words.js";
import { delivery } from "./delivery.js";
import { hiding, secretsOfUrl } from "./hidden.js";
import { checkHttpUrl, postJson } from "./http-post.js";
import { oneLine } from "./plain-text.js";
import { MAX_BLOCKS, type Mention, type SlackMessage, slackMessage } from "./slack-blocks.js";

export interface SlackChannelOptions extends ChannelOptions<SlackMessage> {
  /** Of an incoming webhook of Slack, or of what takes the same messages. It is a secret, and never printed. */
  readonly url: string;
  /** Members or groups for the names that graphs use: `{ anna: "U012ABC", night: "<!subteam^S012ABC>" }`. */
  readonly people?: Readonly<Record<string, string>>;
  /** Lets the messages go unencrypted to another machine; default false. */
  readonly allowHttp?: boolean;
}

const schema = z.strictObject({
  ...channelShape,
  url: unprinted,
  people: peopleShape.default({}),
  allowHttp: z.boolean().default(false),
});

const messageSchema: z.ZodType<SlackMessage> = z.object({
  text: z.string().min(1),
  blocks: z.array(z.record(z.string(), z.unknown())).max(MAX_BLOCKS).optional(),
});

/**
 * Messages to a channel of Slack.
 *
 * @throws ConfigError for wrong options; `send` rejects with a DeliveryError where Slack has not taken the message
 */
export function slackChannel(options: SlackChannelOptions): Channel {
  const owner = "slackChannel";
  const policy = parseOptions(owner, schema, options);
  const { name = "slack", events, template } = policy;
  const url = checkHttpUrl(owner, policy.url, policy.allowHttp);
  const mention = mentions(owner, policy.people);
  const deliver = delivery(name, { where: url.origin, hide: hiding(secretsOfUrl(url)) }, policy);
  return {
    name,
    ...(events === undefined ? {} : { events }),
    async send(notice, signal) {
      signal.throwIfAborted();
      const message = chosenWords(name, notice, template, messageSchema, (one) => slackMessage(one, mention));
      const body = JSON.stringify(message);
      await deliver((attemptSignal) => postJson(url, body, {}, attemptSignal), signal);
    },
  };
}

/** Someone named by ID in a graph is mentioned too. */
const MEMBER = /^[UW][A-Z0-9]{2,}$/;
const MENTION = /^<(?:@[UW][A-Z0-9]{2,}|!subteam\^S[A-Z0-9]{2,}|!here|!channel)>$/;

function mentions(owner: string, people: Readonly<Record<string, string>>): Mention {
  const wrapped = (id: string) => (MEMBER.test(id) ? `<@${id}>` : MENTION.test(id) ? id : undefined);
  for (const [person, id] of Object.entries(people)) {
    if (wrapped(id) === undefined)
      throw new ConfigError(
        `${owner}: option "people" has ${JSON.stringify(oneLine(id, 100))} for ${JSON.stringify(person)}; give the ID of a member, U012ABC, or a mention, <!subteam^S012ABC>`,
      );
  }
  return (person) => wrapped(Object.hasOwn(people, person) ? (people[person] as string) : person);
}
