#!/usr/bin/python3
"""Hostile clients: stanzas (RFC 6120 8, RFC 6121 5, 8)."""
import re
import sys

from hostile import (JULIET, ROMEO, Raw, iq, main, nothing, says, stanza, still_serves,
                     stream_error)

PING = "<ping xmlns='urn:xmpp:ping'/>"


def message(to, attributes="", inner="<body>a</body>"):
    return f"<message id='e' to='{to}' {attributes}>{inner}</message>"


echo = says("<message [^>]*id='e'")

ROWS = [
    ("a_spoofed_from", "bound", "<message from='romeo@localhost' to='romeo@localhost'><body>I am "
     "Romeo</body></message>", stream_error("invalid-from")),
    ("a_from_of_another_resource", "bound", "<message from='juliet@localhost/elsewhere'/>",
     stream_error("invalid-from")),
    ("a_from_that_is_no_jid", "bound", "<message from='@@@' to='romeo@localhost'/>",
     stream_error("invalid-from")),
    ("a_from_of_another_domain", "bound", "<iq type='get' id='e' from='verona.example'/>",
     stream_error("invalid-from")),
    ("an_address_that_is_no_jid", "bound", message("@localhost"),
     stanza("message", "jid-malformed")),
    ("an_address_with_a_space", "bound", message("ro meo@localhost"),
     stanza("message", "jid-malformed")),
    ("an_address_with_an_empty_resource", "bound", message("romeo@localhost/"),
     stanza("message", "jid-malformed")),
    ("a_localpart_of_1023_bytes", "bound", message("r" * 1023 + "@localhost"),
     stanza("message", "service-unavailable")),
    ("a_localpart_of_1024_bytes", "bound", message("r" * 1024 + "@localhost"),
     stanza("message", "jid-malformed")),
    ("a_resource_of_1023_bytes", "bound", message("nobody@localhost/" + "r" * 1023),
     stanza("message", "service-unavailable")),
    ("a_resource_of_1024_bytes", "bound", message("nobody@localhost/" + "r" * 1024),
     stanza("message", "jid-malformed")),
    ("a_domain_that_nobody_serves", "bound", message("romeo@verona.example"),
     stanza("message", "remote-server-not-found")),
    ("an_iq_to_a_domain_that_nobody_serves", "bound", iq("get", PING, "verona.example"),
     stanza("iq", "remote-server-not-found")),
    ("a_presence_to_a_domain_that_nobody_serves", "bound", "<presence id='e' "
     "to='romeo@verona.example'/>", stanza("presence", "remote-server-not-found")),
    ("a_message_to_nobody", "bound", message("nobody@localhost"),
     stanza("message", "service-unavailable")),
    ("a_message_to_a_resource_of_nobody", "bound", message("nobody@localhost/x"),
     stanza("message", "service-unavailable")),
    ("a_message_to_the_server", "bound", message("localhost"),
     stanza("message", "service-unavailable")),
    ("a_groupchat_message_to_a_user", "bound", message("juliet@localhost", "type='groupchat'"),
     stanza("message", "service-unavailable")),
    ("an_error_message_to_nobody", "bound", message("nobody@localhost", "type='error'"), nothing),
    ("a_headline_to_nobody", "bound", message("nobody@localhost", "type='headline'"), nothing),
    ("a_message_of_unknown_type", "bound", message("juliet@localhost", "type='letter'"), echo),
    ("a_message_without_anything", "bound", "<message id='e'/>", echo),
    ("an_id_of_1023_bytes", "bound", f"<iq type='get' to='localhost' id='{'i' * 1023}'>{PING}</iq>",
     says("<iq [^>]*id='i{1023}' type='result'")),
    ("an_id_of_1024_bytes", "bound", f"<iq type='get' to='localhost' id='{'i' * 1024}'>{PING}</iq>",
     says("<iq [^>]*type='error'[^>]*>.*?<bad-request ")),
    ("a_language_of_64_bytes", "bound", message("juliet@localhost", f"xml:lang='{'l' * 64}'"),
     stanza("message", "bad-request")),
    ("an_iq_of_no_known_type", "bound", iq("take", "<a xmlns='b'/>", "localhost"),
     stanza("iq", "bad-request")),
    ("an_iq_without_a_type", "bound", f"<iq id='e' to='localhost'>{PING}</iq>",
     stanza("iq", "bad-request")),
    ("an_iq_without_an_id", "bound", f"<iq type='get' to='localhost'>{PING}</iq>",
     says("<iq [^>]*type='error'[^>]*>.*?<bad-request .*?</iq>")),
    ("an_iq_with_two_payloads", "bound", iq("get", PING * 2, "localhost"),
     stanza("iq", "bad-request")),
    ("an_iq_without_a_payload", "bound", iq("get", "", "localhost"), stanza("iq", "bad-request")),
    ("an_iq_with_text_only", "bound", iq("get", "hello", "localhost"),
     stanza("iq", "bad-request")),
    ("an_iq_that_nobody_knows", "bound", iq("get", "<a xmlns='urn:b'/>", "localhost"),
     stanza("iq", "service-unavailable")),
    ("an_iq_to_nobody", "bound", iq("get", PING, "nobody@localhost/x"),
     stanza("iq", "service-unavailable")),
    ("an_iq_to_an_account_that_does_not_exist", "bound", iq("get", "<a xmlns='urn:b'/>",
                                                           "nobody@localhost"),
     stanza("iq", "service-unavailable")),
    ("a_result_that_nobody_waits_for", "bound", iq("result", "", "localhost"), nothing),
    ("an_error_that_nobody_waits_for", "bound", iq("error", "", "localhost"), nothing),
    ("a_result_to_nobody", "bound", iq("result", "", "nobody@localhost/x"), nothing),
    ("a_version_asked_by_set", "bound", iq("set", "<query xmlns='jabber:iq:version'/>",
                                          "localhost"),
     stanza("iq", "service-unavailable|bad-request|not-allowed")),
    ("a_disco_of_a_node_that_is_not_there", "bound",
     iq("get", "<query xmlns='http://jabber.org/protocol/disco#info' node='x'/>", "localhost"),
     stanza("iq", "item-not-found")),
    ("a_stanza_with_an_unknown_attribute", "bound",
     message("juliet@localhost", "colour='red'"), echo),
    ("a_stanza_error_that_claims_to_be_ours", "bound",
     message("juliet@localhost", "type='error'", "<error type='cancel'/>"), nothing),
]


def the_from_of_a_message_is_the_senders_own(rh):
    with Raw(rh) as juliet, Raw(rh) as romeo:
        juliet.login(*JULIET)
        to = romeo.login(*ROMEO)
        juliet.send(f"<message to='{to}' from='juliet@localhost' type='chat'><body>a</body>"
                    "</message>")
        m = romeo.expect("<message .*?</message>").group(0).decode()
        assert re.search("from=.juliet@localhost/raw.", m), m
    still_serves(rh)


def an_attribute_that_was_not_understood_is_not_passed_on_as_ours(rh):
    """What stands on the stanza's tag and is not RFC 6120's never reaches others as an envelope."""
    with Raw(rh) as juliet, Raw(rh) as romeo:
        juliet.login(*JULIET)
        to = romeo.login(*ROMEO)
        juliet.send(f"<message to='{to}' to2='x' type='chat' id='&apos;/&gt;&lt;evil/&gt;'>"
                    "<body>a</body></message>")
        m = romeo.expect("<message .*?</message>").group(0).decode()
        assert "<evil" not in m, m
    still_serves(rh)


if __name__ == "__main__":
    sys.exit(main(ROWS, (the_from_of_a_message_is_the_senders_own,
                         an_attribute_that_was_not_understood_is_not_passed_on_as_ours)))
