/**
 * An X.509 certificate made on the spot, for servers that no client should trust: node:crypto makes keys and signatures,
 * and the few fields around them are written out in DER (RFC 5280, section 4.1; X.690).
 */
import { generateKeyPairSync, sign } from "node:crypto";

export interface CertificateOf {
  readonly host: string;
  /** Default: from yesterday to tomorrow. */
  readonly validFrom?: Date;
  readonly validTo?: Date;
}

const DAY_MS = 86_400_000;
const INTEGER = 0x02;
const BIT_STRING = 0x03;
const OCTET_STRING = 0x04;
const OBJECT_ID = 0x06;
const UTF8 = 0x0c;
const TIME = 0x18;
const SEQUENCE = 0x30;
const SET = 0x31;
const explicit = (tag: number) => 0xa0 + tag;

function der(tag: number, ...parts: Uint8Array[]): Buffer {
  const content = Buffer.concat(parts);
  const { length } = content;
  const size = length < 128 ? [length] : length < 256 ? [0x81, length] : [0x82, length >> 8, length & 255];
  return Buffer.concat([Buffer.from([tag, ...size]), content]);
}

const bytes = (...values: number[]) => Buffer.from(values);
/** 1.2.840.10045.4.3.2, ecdsa-with-SHA256 */
const ALGORITHM = der(SEQUENCE, der(OBJECT_ID, bytes(0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03, 0x02)));
/** 2.5.4.3 */
const COMMON_NAME = der(OBJECT_ID, bytes(0x55, 0x04, 0x03));
/** 2.5.29.17 */
const ALTERNATIVE_NAME = der(OBJECT_ID, bytes(0x55, 0x1d, 0x11));

const timeOf = (date: Date) => der(TIME, Buffer.from(`${date.toISOString().replace(/[-:T]|\.\d+Z/g, "")}Z`));

/** @returns key and certificate in PEM */
export function selfSigned({ host, validFrom, validTo }: CertificateOf): { key: string; cert: string } {
  const { privateKey, publicKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
  const name = der(SEQUENCE, der(SET, der(SEQUENCE, COMMON_NAME, der(UTF8, Buffer.from(host)))));
  const isAddress = /^[\d.]+$/.test(host);
  const alternative = isAddress ? der(0x87, bytes(...host.split(".").map(Number))) : der(0x82, Buffer.from(host));
  const content = der(
    SEQUENCE,
    der(explicit(0), der(INTEGER, bytes(2))),
    der(INTEGER, bytes(1)),
    ALGORITHM,
    name,
    der(SEQUENCE, timeOf(validFrom ?? new Date(Date.now() - DAY_MS)), timeOf(validTo ?? new Date(Date.now() + DAY_MS))),
    name,
    publicKey.export({ type: "spki", format: "der" }),
    der(explicit(3), der(SEQUENCE, der(SEQUENCE, ALTERNATIVE_NAME, der(OCTET_STRING, der(SEQUENCE, alternative))))),
  );
  const signature = der(BIT_STRING, bytes(0), sign("sha256", content, privateKey));
  const base64 = der(SEQUENCE, content, ALGORITHM, signature).toString("base64").replace(/.{64}/g, "$&\n");
  return {
    key: privateKey.export({ type: "pkcs8", format: "pem" }).toString(),
    cert: `-----BEGIN CERTIFICATE-----\n${base64}\n-----END CERTIFICATE-----\n`,
  };
}
