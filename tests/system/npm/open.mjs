// node open.mjs IDENTITY_FILE INPUT OUTPUT
//
// Opens an age file as a stream and writes each chunk as soon as it is authentic. Exit code 1 with one line on standard error
// when the file does not open to its end; what came before stays in OUTPUT, but perhaps not the last whole chunk.

import { closeSync, createReadStream, openSync, readFileSync, writeSync } from "node:fs";
import { Readable } from "node:stream";
import { Decrypter } from "age-encryption";

// Less than a sealed chunk, so that a step of the stream gives one chunk at most: a second one would be lost with the error.
const PIECE_BYTES = 32_768;

const [identityFile, input, output] = process.argv.slice(2);
if (output === undefined) {
  console.error("usage: node open.mjs IDENTITY_FILE INPUT OUTPUT");
  process.exit(2);
}
const decrypter = new Decrypter();
for (const line of readFileSync(identityFile, "utf8").split("\n")) {
  if (line !== "" && !line.startsWith("#")) decrypter.addIdentity(line);
}
const out = openSync(output, "w");
try {
  const source = createReadStream(input, { highWaterMark: PIECE_BYTES });
  for await (const plain of await decrypter.decrypt(Readable.toWeb(source))) writeSync(out, plain);
} catch (error) {
  console.error(`${input}: ${error.message}`);
  process.exitCode = 1;
} finally {
  closeSync(out);
}
