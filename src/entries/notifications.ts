/** `langgraph-resilience/notifications`: ways to tell people of the questions that wait for them. Mail needs nodemailer. */
export { type Channel, NOTICE_EVENTS, type Notice, type NoticeEvent } from "../core/notice-ports.js";
export type { ChannelOptions } from "../notifications/channel-options.js";
export { DeliveryError } from "../notifications/delivery-error.js";
export { channelsFromEnvironment } from "../notifications/environment.js";
export { type MailChannelOptions, mailChannel } from "../notifications/mail-channel.js";
export { type NoticeMessage, noticeMessage } from "../notifications/notice-message.js";
export type { SlackMessage } from "../notifications/slack-blocks.js";
export { type SlackChannelOptions, slackChannel } from "../notifications/slack-channel.js";
export { type WebhookChannelOptions, webhookChannel } from "../notifications/webhook-channel.js";
export { type WebhookItem, type WebhookPayload, webhookPayload } from "../notifications/webhook-payload.js";
export {
  type ReceivedHeaders,
  type VerifiedWebhook,
  verifyWebhook,
  WebhookRefusedError,
  type WebhookRequest,
  type WebhookSecret,
} from "../notifications/webhook-signature.js";
