"""
profanity_plugin - loaded by profanity itself: says what it takes, sends and shows, one JSON list a
line, into the FIFO that MATRIX_EVENTS names. profanity_client.py reads there.
"""
import json
import os

FIFO = os.open(os.environ["MATRIX_EVENTS"], os.O_WRONLY)


def tell(*what):
    os.write(FIFO, (json.dumps(what) + "\n").encode())


def prof_on_connect(_account, jid):
    tell("connect", jid)


def prof_post_chat_message_display(_jid, _resource, text):
    tell("shown", text)


def prof_on_message_stanza_receive(stanza):
    tell("message", stanza)
    return True


def prof_on_presence_stanza_receive(stanza):
    tell("presence", stanza)
    return True


def prof_on_iq_stanza_receive(stanza):
    tell("iq", stanza)
    return True


def prof_on_iq_stanza_send(stanza):
    tell("sent", stanza)


def prof_on_contact_presence(jid, resource, presence, status, _priority):
    tell("contact", jid, resource, presence, status)


def prof_on_contact_offline(jid, resource, status):
    tell("contact", jid, resource, "unavailable", status)
