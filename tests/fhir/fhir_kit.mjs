// The story of tests/fhir/test_clients.py for fhir-kit-client: what it saw, as JSON.
//   node fhir_kit.mjs NODE_MODULES BASE < {"bundle": …, "token": …}
import { readFileSync } from "node:fs";
import { pathToFileURL } from "node:url";

const [modules, base] = process.argv.slice(2);
const { Client } = await import(pathToFileURL(`${modules}/fhir-kit-client/dist/index.js`));
const { bundle, token } = JSON.parse(readFileSync(0, "utf8"));
const client = new Client({ baseUrl: base });

const published = await client.transaction({ body: bundle });
const searchParams = { "patient.identifier": token, status: "current", _count: 1 };
const pages = [await client.search({ resourceType: "DocumentReference", searchParams })];
for (let next = pages[0]; (next = await client.nextPage({ bundle: next })); ) pages.push(next);
const posted = await client.search({
  resourceType: "List",
  searchParams: { "patient.identifier": token, code: "submissionset", status: "current" },
  options: { postSearch: true },
});
const found = pages.flatMap((page) => page.entry.map((entry) => entry.resource));
const read = await client.read({ resourceType: "DocumentReference", id: found[0].id });
const retrieved = await fetch(read.content[0].attachment.url);
let refused = null;
try {
  await client.read({ resourceType: "DocumentReference", id: "unknown" });
} catch (error) {
  refused = { status: error.response.status, data: error.response.data };
}
const capability = await client.capabilityStatement();

console.log(
  JSON.stringify({
    statuses: published.entry.map((entry) => entry.response.status),
    sizes: pages.map((page) => page.entry.length),
    found: found.map((resource) => resource.id),
    lists: posted.entry.map((entry) => entry.resource.entry.length),
    read: read.id,
    text: await retrieved.text(),
    refused,
    interactions: capability.rest[0].interaction.map((interaction) => interaction.code),
  }),
);
