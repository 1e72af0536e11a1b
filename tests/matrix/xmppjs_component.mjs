// xmppjs_component - npm's @xmpp/component as an echo: what test_components.py wants of a component.
// usage: xmppjs_component.mjs HOST PORT JID SECRET      (MATRIX_NPM: where node_modules/ is)
// Lines on stdout: "online", "error WHAT", "offline".
import { join } from "node:path";
import { pathToFileURL } from "node:url";

const library = join(process.env.MATRIX_NPM, "node_modules/@xmpp/component/index.js");
const { component, xml } = (await import(pathToFileURL(library))).default;
const [host, port, domain, password] = process.argv.slice(2);
const xmpp = component({ service: `xmpp://${host}:${port}`, domain, password });

xmpp.reconnect.delay = 100;
xmpp.on("online", () => console.log("online"));
xmpp.on("offline", () => console.log("offline"));
xmpp.on("error", (e) => console.log(`error ${e.condition ?? e.message}`));
xmpp.on("stanza", async (stanza) => {
  const { from, to, type } = stanza.attrs;
  const body = stanza.is("message") && type !== "error" && stanza.getChildText("body");
  if (body) {
    await xmpp.send(xml("message", { to: from, from: to, type: "chat" }, xml("body", {}, body)));
  }
});
xmpp.iqCallee.get("urn:example:echo", "query", (ctx) =>
  xml("query", { xmlns: "urn:example:echo" }, ctx.element.text()),
);
process.stdin.on("end", () => xmpp.stop().then(() => process.exit(0)));
process.stdin.resume();
xmpp.start().catch((e) => console.log(`error ${e.condition ?? e.message}`));
