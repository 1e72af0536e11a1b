#!/usr/bin/env python3
"""A component that answers messages: callbridge run --name echo ... --exec examples/echo.py

Each line of standard input is a stanza, each line printed is one that is sent.
"""
import sys
import xml.etree.ElementTree as ET


def answer(stanza):
    kind, back = stanza.get("type", ""), {"to": stanza.get("from"), "from": stanza.get("to")}
    if stanza.tag == "message" and kind != "error" and (text := stanza.findtext("body")):
        reply = ET.Element("message", back | {"type": kind or "normal"})
        ET.SubElement(reply, "body").text = f"You said: {text}"
        return reply
    if stanza.tag == "iq" and kind in ("get", "set"):  # who asks must get an answer
        reply = ET.Element("iq", back | {"id": stanza.get("id", ""), "type": "error"})
        error = ET.SubElement(reply, "error", {"type": "cancel"})
        ET.SubElement(error, "service-unavailable",
                      {"xmlns": "urn:ietf:params:xml:ns:xmpp-stanzas"})
        return reply
    return None


sys.stdin.reconfigure(encoding="utf-8")
sys.stdout.reconfigure(encoding="utf-8")
for line in sys.stdin:
    if (reply := answer(ET.fromstring(line))) is not None:
        print(ET.tostring(reply, encoding="unicode").replace("\n", "&#10;"), flush=True)
