import { inspect } from "node:util";
import { describe, expect, it } from "vitest";
import { channelsFromEnvironment } from "../../../src/notifications/environment.js";
import { mailChannel } from "../../../src/notifications/mail-channel.js";
import { slackChannel } from "../../../src/notifications/slack-channel.js";
import { smtpServer } from "../../../src/notifications/smtp-server.js";
import { webhookChannel } from "../../../src/notifications/webhook-channel.js";

const SECRET = "S3CR3T-VALUE";
const key = `whsec_${Buffer.alloc(32, 1).toString("base64")}`;
const from = "lgr@example.com";

function refusalOf(make: () => unknown): { message: string; all: string } {
  try {
    make();
  } catch (error) {
    expect(error).toMatchObject({ code: "CONFIG" });
    return { message: (error as Error).message, all: inspect(error, { depth: 10, showHidden: true }) };
  }
  throw new Error("It was accepted");
}

describe("wrong options are named, and secrets among them not printed:", () => {
  const wrong: [string, () => unknown, RegExp][] = [
    ["no SMTP address", () => mailChannel({ url: `mail.example.com/${SECRET}`, from }), /"url" must be/],
    ["an address of another protocol", () => mailChannel({ url: `imap://a:${SECRET}@h`, from }), /smtp:\/\//],
    ["a slash in a password", () => mailChannel({ url: `smtp://a:12/${SECRET}@h`, from }), /%2F/],
    ["a percent sign in a password", () => mailChannel({ url: `smtp://a:%${SECRET}@h`, from }), /%25/],
    ["options in the address", () => mailChannel({ url: `smtp://a:${SECRET}@h?pool=true`, from }), /must end after/],
    ["an object for an address", () => mailChannel({ url: new URL(`https://h/${SECRET}`) as never, from }), /"url"/],
    ["a sender that is none", () => mailChannel({ url: "smtp://h", from: "lgr" }), /"from" has "lgr"/],
    ["a recipient that is none", () => mailChannel({ url: "smtp://h", from, to: ["x"] }), /"to" has "x"/],
    ["a person without address", () => mailChannel({ url: "smtp://h", from, people: { a: "b" } }), /"people" has "b"/],
    ["an unknown option", () => mailChannel({ url: "smtp://h", from, pool: true } as never), /pool/],
    ["no address of Slack", () => slackChannel({ url: SECRET }), /"url" must be/],
    ["http to another machine", () => slackChannel({ url: `http://h/${SECRET}` }), /https.*allowHttp/],
    ["another protocol", () => slackChannel({ url: `ftp://h/${SECRET}` }), /https/],
    ["a login in the address", () => slackChannel({ url: `https://a:${SECRET}@h` }), /login/],
    [
      "a member that is none",
      () => slackChannel({ url: "https://h/x", people: { anna: "anna" } }),
      /"people" has "anna"/,
    ],
    ["a weak secret", () => webhookChannel({ url: "https://h", secret: SECRET }), /"secret" must be/],
    [
      "a header that is none",
      () => webhookChannel({ url: "https://h", secret: key, headers: { a: `${SECRET}\nx` } }),
      /"a"/,
    ],
    [
      "a header that is no text",
      () => webhookChannel({ url: "https://h", secret: key, headers: { a: { SECRET } as never } }),
      /"a"/,
    ],
    [
      "a header of ours",
      () => webhookChannel({ url: "https://h", secret: key, headers: { "Webhook-Id": "1" } }),
      /Webhook-Id/,
    ],
    ["a name with a line break", () => slackChannel({ url: "https://h/x", name: "a\nb" }), /"name"/],
    ["an event that is none", () => slackChannel({ url: "https://h/x", events: ["all"] as never }), /events\.0/],
  ];
  it.each(wrong)("%s", (_what, make, says) => {
    const { message, all } = refusalOf(make);
    expect(message).toMatch(says);
    expect(all).not.toContain("S3CR3T");
  });

  it("plain http is for this machine, or by its option", () => {
    for (const host of ["localhost:1", "127.0.0.1", "127.1.2.3", "[::1]:80"])
      expect(slackChannel({ url: `http://${host}/x` }).name).toBe("slack");
    for (const host of ["127.0.0.1.evil.example", "localhost.evil.example", "10.0.0.1", "[::2]"])
      expect(() => slackChannel({ url: `http://${host}/x` })).toThrow("allowHttp");
    expect(slackChannel({ url: "http://10.0.0.1/x", allowHttp: true }).name).toBe("slack");
  });
});

describe("a mail server", () => {
  const server = (url: string, requireTls?: boolean) => smtpServer("test", url, requireTls);

  it("is told by its address", () => {
    expect(server("smtps://a%40b:p%2Fw%25@mail.example.com")).toEqual({
      host: "mail.example.com",
      port: 465,
      secure: true,
      requireTLS: false,
      auth: { user: "a@b", pass: "p/w%" },
    });
    expect(server("smtp://[::1]:25/")).toEqual({ host: "::1", port: 25, secure: false, requireTLS: false });
  });

  it("gets no login over a network without TLS", () => {
    expect(server("smtp://a:b@mail.example.com")).toMatchObject({ port: 587, requireTLS: true });
    expect(server("smtp://a:b@127.0.0.1")).toMatchObject({ requireTLS: false });
    expect(server("smtp://a:b@mail.example.com", false)).toMatchObject({ requireTLS: false });
    expect(server("smtp://mail.example.com", true)).toMatchObject({ requireTLS: true });
  });
});

describe("the channels of the environment", () => {
  const mail = {
    LGR_SMTP_URL: `smtp://a:${SECRET}@mail.example.com`,
    LGR_MAIL_FROM: from,
    LGR_MAIL_TO: "a@b.c, d@e.f",
  };
  const names = (env: Record<string, string>) => channelsFromEnvironment(env).map(({ name }) => name);

  it("are those that it describes", () => {
    expect(names({})).toEqual([]);
    expect(names({ LGR_SLACK_WEBHOOK: "" })).toEqual([]);
    expect(
      names({
        ...mail,
        LGR_SLACK_WEBHOOK: "https://h/x",
        LGR_WEBHOOK_URL: "https://h",
        LGR_WEBHOOK_SECRET: `${key},${key}`,
      }),
    ).toEqual(["mail", "slack", "webhook"]);
  });

  it.each([
    [{ LGR_SMTP_URL: mail.LGR_SMTP_URL }, /^LGR_MAIL_FROM and LGR_MAIL_TO must be set as well, for LGR_SMTP_URL is$/],
    [{ LGR_MAIL_TO: "a@b.c", LGR_MAIL_FROM: " " }, /^LGR_SMTP_URL and LGR_MAIL_FROM must be set/],
    [{ LGR_WEBHOOK_SECRET: key }, /^LGR_WEBHOOK_URL must be set/],
    [{ ...mail, LGR_SMTP_URL: SECRET }, /^LGR_SMTP_URL, LGR_MAIL_FROM, LGR_MAIL_TO: .*"url"/],
    [{ LGR_SLACK_WEBHOOK: `http://h/${SECRET}` }, /^LGR_SLACK_WEBHOOK: /],
  ] as [Record<string, string>, RegExp][])("are refused by name of the variable: %#", (env, says) => {
    const { message, all } = refusalOf(() => channelsFromEnvironment(env));
    expect(message).toMatch(says);
    expect(all).not.toContain("S3CR3T");
  });
});
