// node seal.mjs RECIPIENT INPUT OUTPUT
//
// Writes an age file to one recipient, of either kind.

import { webcrypto } from "node:crypto";
import { readFileSync, writeFileSync } from "node:fs";
import { Encrypter } from "age-encryption";

globalThis.crypto ??= webcrypto; // Node 18 does not set it by itself

const [recipient, input, output] = process.argv.slice(2);
if (output === undefined) {
  console.error("usage: node seal.mjs RECIPIENT INPUT OUTPUT");
  process.exit(2);
}
const encrypter = new Encrypter();
encrypter.addRecipient(recipient);
writeFileSync(output, await encrypter.encrypt(readFileSync(input)));
