// xmppjs_client - npm's @xmpp/client behind the line protocol of adapter.py.
//
// The library does streams, TLS, SASL, stream management and IQs; it has nothing for rosters,
// presence, carbons, blocking or archives: those stanzas are written here with its xml().
// MATRIX_NPM is the folder whose node_modules/ holds it; NODE_EXTRA_CA_CERTS, read by node itself,
// names the CA.
import { webcrypto } from "node:crypto";
import { createInterface } from "node:readline";
import { join } from "node:path";
import { pathToFileURL } from "node:url";

globalThis.crypto ??= webcrypto; // Debian 12's node 18 has it behind a flag only

const library = join(process.env.MATRIX_NPM, "node_modules/@xmpp/client/index.js");
const { client, xml } = await import(pathToFileURL(library));
const NS = {
  block: "urn:xmpp:blocking",
  carbons: "urn:xmpp:carbons:2",
  delay: "urn:xmpp:delay",
  forward: "urn:xmpp:forward:0",
  mam: "urn:xmpp:mam:2",
  rsm: "http://jabber.org/protocol/rsm",
  sm: "urn:xmpp:sm:3",
  stanzas: "urn:ietf:params:xml:ns:xmpp-stanzas",
};
let xmpp;

function emit(event, fields) {
  process.stdout.write(JSON.stringify({ event, ...fields }) + "\n");
}

function condition(stanza) {
  const error = stanza.getChild("error");
  return error?.children.find((c) => c.attrs?.xmlns === NS.stanzas)?.name ?? "none";
}

function forwarded(wrapper) {
  const f = wrapper?.getChild("forwarded", NS.forward);
  return f && { message: f.getChild("message"), delay: f.getChild("delay", NS.delay) };
}

function onMessage(message, carbon = null) {
  for (const way of ["sent", "received"]) {
    const copy = forwarded(message.getChild(way, NS.carbons));
    if (copy) return onMessage(copy.message, way);
  }
  const { from, to } = message.attrs;
  const found = forwarded(message.getChild("result", NS.mam));
  if (message.attrs.type === "error") {
    emit("bounced", { from, condition: condition(message) });
  } else if (found) {
    const body = found.message.getChildText("body");
    emit("archived", { from: found.message.attrs.from, body, stamp: Boolean(found.delay) });
  } else if (message.getChild("body")) {
    const delay = Boolean(message.getChild("delay", NS.delay));
    emit("message", { from, to, body: message.getChildText("body"), carbon, delay });
  }
}

function onStanza(stanza) {
  if (stanza.is("message")) {
    onMessage(stanza);
  } else if (stanza.is("presence")) {
    emit("presence", {
      from: stanza.attrs.from,
      type: stanza.attrs.type ?? "available",
      show: stanza.getChildText("show") ?? "",
      status: stanza.getChildText("status") ?? "",
    });
  }
}

function onRoster(query) {
  for (const { attrs } of query.getChildren("item")) {
    emit("roster", { jid: attrs.jid, subscription: attrs.subscription, ask: attrs.ask ?? "" });
  }
}

// The library counts for XEP-0198 what reaches the end of its middleware, where answers to its own
// IQs and pushes never come; its <a/> would say that it has not got the last messages.
function countAll() {
  const kinds = ["message", "presence", "iq"];
  let handled = 0;
  xmpp.on("element", (element) => {
    if (element.is("enabled", NS.sm)) handled = 0;
    else if (kinds.includes(element.name)) xmpp.streamManagement.inbound = ++handled;
  });
}

function ask(type, child, to) {
  return xmpp.iqCaller.request(xml("iq", { type, ...(to && { to }) }, child));
}

function field(name, value) {
  return xml("field", { var: name }, xml("value", {}, value));
}

const commands = {
  async connect({ jid, password, host, port, tls }) {
    const [, username, domain, resource] = /^(.*)@(.*)\/(.*)$/.exec(jid);
    // Direct TLS judges the certificate by the name that is connected to.
    const service = tls === "direct" ? `xmpps://${domain}:${port}` : `xmpp://${host}:${port}`;
    xmpp = client({ service, domain, username, password, resource });
    xmpp.reconnect.stop();
    xmpp.on("stanza", onStanza);
    countAll();
    xmpp.on("error", (e) => emit("refused", { why: String(e.message || e) }));
    xmpp.iqCallee.set("jabber:iq:roster", "query", ({ element }) => {
      onRoster(element);
      return true;
    });
    xmpp.on("online", async (address) => {
      onRoster(await xmpp.iqCaller.get(xml("query", "jabber:iq:roster")));
      await xmpp.send(xml("presence"));
      emit("online", { jid: address.toString() });
    });
    xmpp.start().catch(() => {}); // the error event says why
  },
  say: ({ to, body }) => xmpp.send(xml("message", { to, type: "chat" }, xml("body", {}, body))),
  presence: ({ show, status }) =>
    xmpp.send(
      xml("presence", {}, show && xml("show", {}, show), status && xml("status", {}, status)),
    ),
  subscribe: ({ jid }) => xmpp.send(xml("presence", { to: jid, type: "subscribe" })),
  approve: ({ jid }) => xmpp.send(xml("presence", { to: jid, type: "subscribed" })),
  remove: ({ jid }) =>
    ask("set", xml("query", "jabber:iq:roster", xml("item", { jid, subscription: "remove" }))),
  carbons: () => ask("set", xml("enable", NS.carbons)),
  block: ({ jid }) => ask("set", xml("block", NS.block, xml("item", { jid }))),
  unblock: ({ jid }) => ask("set", xml("unblock", NS.block, xml("item", { jid }))),
  archive: (args) => {
    const form = [field("FORM_TYPE", NS.mam), field("with", args.with)];
    return ask(
      "set",
      xml(
        "query",
        NS.mam,
        xml("x", { xmlns: "jabber:x:data", type: "submit" }, ...form),
        xml("set", NS.rsm, xml("max", {}, "50")),
      ),
    );
  },
  sync: () => ask("get", xml("ping", "urn:xmpp:ping"), xmpp.jid.domain),
};

async function run({ do: name, ...args }) {
  try {
    await commands[name](args);
    emit("done", { do: name });
  } catch (e) {
    if (e.name === "StanzaError") emit("failed", { do: name, condition: e.condition });
    else emit("trouble", { do: name, why: String(e) });
  }
}

for await (const line of createInterface({ input: process.stdin })) run(JSON.parse(line));
if (xmpp?.status === "online") await xmpp.stop();
emit("offline", {});
process.exit(0);
