/** Codes of Node, its sockets and TLS (nodejs.org/api/errors.html, nodejs.org/api/tls.html), and of undici. */
import type { ErrorRule } from "../error-rule.js";
import { coded, codeLike, either, row } from "./row.js";

export const SYSTEM_RULES: readonly ErrorRule[] = [
  row(
    "timed out",
    "timeout",
    coded("ETIMEDOUT", "ESOCKETTIMEDOUT", "UND_ERR_CONNECT_TIMEOUT", "UND_ERR_HEADERS_TIMEOUT", "UND_ERR_BODY_TIMEOUT"),
  ),
  row("request aborted", "cancelled", coded("UND_ERR_ABORTED", "ABORT_ERR")),
  row(
    "connection failed",
    "network",
    either(
      coded(
        "ECONNRESET",
        "ECONNREFUSED",
        "ECONNABORTED",
        "EPIPE",
        "ENOTFOUND",
        "EAI_AGAIN",
        "EAI_FAIL",
        "EAI_NODATA",
        "ENETUNREACH",
        "ENETDOWN",
        "ENETRESET",
        "EHOSTUNREACH",
        "EHOSTDOWN",
        "EPROTO",
        "UND_ERR_SOCKET",
        "UND_ERR_CLOSED",
        "UND_ERR_DESTROYED",
        "UND_ERR_RES_CONTENT_LENGTH_MISMATCH",
        "ERR_STREAM_PREMATURE_CLOSE",
      ),
      // llhttp: whoever answered does not speak HTTP, as a proxy that fails half-way does not
      codeLike(/^HPE_/),
    ),
  ),
  row(
    "certificate refused",
    "environment",
    codeLike(
      /^(CERT_|CRL_|ERR_TLS_CERT|DEPTH_ZERO|SELF_SIGNED|UNABLE_TO_(GET|VERIFY|DE)|HOSTNAME_MISMATCH|INVALID_(CA|PURPOSE)|PATH_LENGTH)/,
    ),
  ),
  // Another protocol, or no version and no cipher in common: the next attempt meets the same server.
  row(
    "TLS that cannot be agreed on",
    "environment",
    codeLike(/^ERR_SSL_.*(WRONG_VERSION_NUMBER|PROTOCOL_VERSION|UNSUPPORTED_PROTOCOL|NO_SHARED_CIPHER|HTTP_REQUEST)/),
  ),
  row("TLS handshake", "network", codeLike(/^(ERR_SSL|ERR_TLS)/)),
  row(
    "out of memory or disk",
    "environment",
    coded("ENOMEM", "ENOSPC", "EDQUOT", "EMFILE", "ENFILE", "EROFS", "ERR_WORKER_OUT_OF_MEMORY"),
  ),
  row(
    "dependency missing",
    "environment",
    coded("MODULE_NOT_FOUND", "ERR_MODULE_NOT_FOUND", "ERR_DLOPEN_FAILED", "ERR_REQUIRE_ESM"),
  ),
  row("file not found", "not_found", coded("ENOENT", "ENOTDIR")),
  row("file not allowed", "permission", coded("EACCES", "EPERM", "ERR_ACCESS_DENIED")),
];
