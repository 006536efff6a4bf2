import type { Channel } from "../core/notice-ports.js";
import { ConfigError } from "../errors/own-errors.js";
import { mailChannel } from "./mail-channel.js";
import { slackChannel } from "./slack-channel.js";
import { webhookChannel } from "./webhook-channel.js";

/**
 * The channels that the environment describes; none where it describes none. An empty variable is one that is not set.
 *
 * - mail: `LGR_SMTP_URL`, `LGR_MAIL_FROM` and `LGR_MAIL_TO` (addresses, separated by commas)
 * - Slack: `LGR_SLACK_WEBHOOK`
 * - webhook: `LGR_WEBHOOK_URL` and `LGR_WEBHOOK_SECRET` (several separated by commas)
 *
 * @throws ConfigError naming the variable that is missing or wrong
 */
export function channelsFromEnvironment(env: Readonly<Record<string, string | undefined>> = process.env): Channel[] {
  return [
    ...channel(
      { LGR_SMTP_URL: env.LGR_SMTP_URL, LGR_MAIL_FROM: env.LGR_MAIL_FROM, LGR_MAIL_TO: env.LGR_MAIL_TO },
      (set) => mailChannel({ url: set.LGR_SMTP_URL, from: set.LGR_MAIL_FROM, to: listed(set.LGR_MAIL_TO) }),
    ),
    ...channel({ LGR_SLACK_WEBHOOK: env.LGR_SLACK_WEBHOOK }, (set) => slackChannel({ url: set.LGR_SLACK_WEBHOOK })),
    ...channel({ LGR_WEBHOOK_URL: env.LGR_WEBHOOK_URL, LGR_WEBHOOK_SECRET: env.LGR_WEBHOOK_SECRET }, (set) =>
      webhookChannel({ url: set.LGR_WEBHOOK_URL, secret: listed(set.LGR_WEBHOOK_SECRET) }),
    ),
  ];
}

function channel<Name extends string>(
  variables: Readonly<Record<Name, string | undefined>>,
  make: (set: Readonly<Record<Name, string>>) => Channel,
): Channel[] {
  const names = Object.keys(variables) as Name[];
  const given = names.filter((name) => isSet(variables[name]));
  if (given.length === 0) return [];
  const missing = names.filter((name) => !given.includes(name));
  if (missing.length > 0)
    throw new ConfigError(
      `${missing.join(" and ")} must be set as well, for ${given.join(" and ")} ${given.length === 1 ? "is" : "are"}`,
    );
  try {
    return [make(variables as Readonly<Record<Name, string>>)];
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    throw new ConfigError(`${names.join(", ")}: ${error.message}`, { cause: error });
  }
}

const isSet = (value: string | undefined) => value !== undefined && value.trim() !== "";

function listed(value: string): string[] {
  return value
    .split(",")
    .map((one) => one.trim())
    .filter((one) => one !== "");
}
