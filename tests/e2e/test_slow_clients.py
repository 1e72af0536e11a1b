#!/usr/bin/python3
"""Clients that say nothing or stop half-way: each step before the session has its time, the refusal
says so; and one address cannot take all the places of clients that have not logged in yet."""
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../support"))
from roundhouse import Instance, Raw, add_case, case, run_cases

PLACES = 12

HALF = "<?xml version='1.0'?><stream:stream to='local"
AUTH = "<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='PLA"

# How far the client comes, what it sends then before it falls silent.
SILENCES = [
    ("no_bytes_at_all", lambda c: None, ""),
    ("half_a_header", lambda c: None, HALF),
    ("an_open_stream_and_no_tls", lambda c: c.open(), ""),
    ("tls_and_no_header", lambda c: c.start_tls(), ""),
    ("tls_and_half_a_login", lambda c: (c.start_tls(), c.open()), AUTH),
    ("a_login_and_no_binding", lambda c: c.authenticate("juliet", "capulet"), ""),
    ("white_space_only", lambda c: c.open(), " \n " * 10),
]


def silence_case(steps, data):
    def run(rh):
        with Raw(rh) as ordinary:
            ordinary.login("juliet", "capulet")
            with Raw(rh) as c:
                steps(c)
                c.send(data)
                end = c.read_to_end()
                assert b"<stream:error><connection-timeout " in end, end
                assert end.endswith(b"</stream:stream>"), end
            ordinary.ping()  # a session has no such limit
    return run


for name_, steps_, data_ in SILENCES:
    add_case(f"{name_}_ends_with_connection_timeout", silence_case(steps_, data_))


@case
def silence_instead_of_a_tls_handshake_ends_the_connection(rh):
    with Raw(rh) as c:
        c.open()
        c.send("<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>")
        c.expect("<proceed[^>]*/>")
        c.read_to_end()
    with Raw(rh) as c:
        c.send(b"\x16\x03\x01")
        c.read_to_end()


@case
def sessions_do_not_count_as_places_of_strangers(rh):
    sessions = []
    for i in range(PLACES + 3):
        sessions.append(Raw(rh))
        sessions[i].login("juliet", "capulet", resource=f"r{i}")
    for c in sessions:
        c.ping()
        c.close()


@case
def one_address_cannot_take_all_places(rh):
    strangers = [Raw(rh) for _ in range(PLACES)]
    for c in strangers:
        c.open()
    with Raw(rh) as c:
        c.header()
        end = c.read_to_end()
        assert b"<stream:error><policy-violation " in end, end
        assert end.endswith(b"</stream:stream>"), end
    for c in strangers:
        c.close()
    # The places are free again as soon as the closing has been seen.
    for _ in range(100):
        with Raw(rh) as c:
            try:
                c.login("juliet", "capulet")
                return
            except (AssertionError, OSError):
                continue
    raise AssertionError("nobody gets in after the strangers have gone")


if __name__ == "__main__":
    limits = f"tls_s = 2; login_s = 2; unauthenticated_per_address = {PLACES};"
    with Instance(config={"limits": limits}) as instance:
        instance.add_user("juliet@localhost", "capulet")
        sys.exit(run_cases(instance))
