#!/usr/bin/python3
"""Hostile clients: logins (RFC 6120 6, RFC 5802, RFC 4616) and binding (RFC 6120 7)."""
import base64
import hashlib
import hmac
import re
import sys

from hostile import (BIND, JULIET, ROMEO, SASL, Raw, auth, b64, failure, iq, main, nothing, reach,
                     says, stanza, still_serves, stream_error)

CLIENT_FIRST = "n,,n=juliet,r=abc"


def bind(resource):
    return f"<bind {BIND}><resource>{resource}</resource></bind>"


def bad(condition):
    """An iq error before a session; a proper binding is still taken."""
    def check(c):
        c.expect(f"<iq [^>]*type='error'[^>]*>.*?<{condition} .*?</iq>")
        c.send(f"<iq type='set' id='b'>{bind('later')}</iq>")
        c.expect("<jid>juliet@localhost/later</jid>")
    return check


def bound_as(pattern):
    return says(f"<jid>juliet@localhost/{pattern}</jid>")


ROWS = [
    ("a_login_before_tls", "plain", auth("PLAIN", b64("\0juliet\0capulet")),
     failure("encryption-required", goes_on=False)),
    ("a_scram_login_before_tls", "plain", auth("SCRAM-SHA-1", b64(CLIENT_FIRST)),
     failure("encryption-required", goes_on=False)),
    ("an_unknown_mechanism", "tls", auth("DIGEST-MD5", "="), failure("invalid-mechanism")),
    ("anonymous_when_it_is_not_offered", "tls", auth("ANONYMOUS", ""),
     failure("invalid-mechanism")),
    ("a_mechanism_name_of_9000_bytes", "tls", auth("X" * 9000, "="), failure("invalid-mechanism")),
    ("no_mechanism", "tls", f"<auth {SASL}/>", failure("invalid-mechanism")),
    ("data_that_is_not_base64", "tls", auth("PLAIN", "!!!!"), failure("incorrect-encoding")),
    ("base64_with_white_space", "tls", auth("PLAIN", "AGp1 bGll\ndA=="),
     failure("incorrect-encoding|malformed-request|not-authorized")),
    ("base64_with_padding_in_the_middle", "tls", auth("PLAIN", "AG==anVsaWV0"),
     failure("incorrect-encoding")),
    ("plain_without_its_separators", "tls", auth("PLAIN", b64("juliet capulet")),
     failure("malformed-request")),
    ("plain_with_a_separator_too_many", "tls", auth("PLAIN", b64("\0juliet\0capulet\0x")),
     failure("malformed-request|not-authorized")),
    ("plain_that_is_not_utf8", "tls", auth("PLAIN", b64(b"\0juliet\0\xff\xfe")),
     failure("malformed-request|not-authorized")),
    ("plain_with_9000_bytes_of_password", "tls", auth("PLAIN", b64("\0juliet\0" + "x" * 6000)),
     failure("malformed-request|not-authorized")),
    ("plain_with_a_user_of_2000_bytes", "tls", auth("PLAIN", b64("\0" + "j" * 2000 + "\0x")),
     failure("malformed-request|not-authorized")),
    ("plain_in_somebody_elses_name", "tls", auth("PLAIN", b64("romeo@localhost\0juliet\0capulet")),
     failure("invalid-authzid")),
    ("plain_in_the_name_of_no_jid", "tls", auth("PLAIN", b64("@@\0juliet\0capulet")),
     failure("invalid-authzid")),
    ("a_wrong_password", "tls", auth("PLAIN", b64("\0juliet\0wrong")), failure("not-authorized")),
    ("an_unknown_user", "tls", auth("PLAIN", b64("\0nobody\0wrong")), failure("not-authorized")),
    ("an_empty_password", "tls", auth("PLAIN", b64("\0juliet\0")),
     failure("not-authorized|malformed-request")),
    ("a_user_name_that_is_no_localpart", "tls", auth("PLAIN", b64("\0ju liet@x\0wrong")),
     failure("not-authorized|malformed-request")),
    ("a_user_name_with_sql_in_it", "tls", auth("PLAIN", b64("\0juliet' OR '1'='1\0x")),
     failure("not-authorized|malformed-request")),
    ("scram_garbage", "tls", auth("SCRAM-SHA-256", b64("garbage")), failure("malformed-request")),
    ("scram_without_data_and_then_garbage", "tls",
     auth("SCRAM-SHA-256", "") + f"<response {SASL}>{b64('x')}</response>",
     failure("malformed-request")),
    ("scram_with_a_mandatory_extension", "tls",
     auth("SCRAM-SHA-256", b64("n,,m=x,n=juliet,r=abc")),
     failure("malformed-request|not-authorized")),
    ("scram_without_a_nonce", "tls", auth("SCRAM-SHA-256", b64("n,,n=juliet")),
     failure("malformed-request")),
    ("scram_with_a_bad_escape", "tls", auth("SCRAM-SHA-256", b64("n,,n=ju=ZZliet,r=abc")),
     failure("malformed-request|not-authorized")),
    ("scram_with_channel_binding_and_no_plus", "tls",
     auth("SCRAM-SHA-256", b64("p=tls-unique,,n=juliet,r=abc")),
     failure("malformed-request|not-authorized")),
    ("scram_for_somebody_else", "tls",
     auth("SCRAM-SHA-256", b64("n,a=romeo@localhost,n=juliet,r=abc")) +
     f"<response {SASL}>{b64('c=biws,r=abc,p=AAAA')}</response>",
     failure("invalid-authzid|malformed-request|not-authorized")),
    ("an_abort", "tls", auth("SCRAM-SHA-1", b64(CLIENT_FIRST)) + f"<abort {SASL}/>",
     failure("aborted")),
    ("a_response_without_a_login", "tls", f"<response {SASL}>aa==</response>",
     failure("malformed-request")),
    ("a_second_login_instead_of_a_response", "tls",
     auth("SCRAM-SHA-1", b64(CLIENT_FIRST)) + auth("PLAIN", b64("\0juliet\0wrong")),
     failure("[a-z-]+", goes_on=False)),
    ("a_login_within_a_session", "bound", auth("PLAIN", b64("\0juliet\0capulet")),
     stream_error("unsupported-stanza-type")),
    ("a_login_after_the_login", "authed", auth("PLAIN", b64("\0romeo\0montague")),
     stream_error("unsupported-stanza-type|not-authorized|policy-violation")),
    # Binding.
    ("a_presence_before_binding", "authed", "<presence/>", stream_error("not-authorized")),
    ("a_message_before_binding", "authed", "<message to='romeo@localhost'/>",
     stream_error("not-authorized")),
    ("a_binding_before_the_login", "tls", iq("set", bind("x")), stream_error("not-authorized")),
    ("a_resource_with_a_control_character", "authed", iq("set", bind("a&#9;b")),
     bad("bad-request")),
    ("a_resource_of_1023_bytes", "authed", iq("set", bind("r" * 1023)), bound_as("r{1023}")),
    ("a_resource_of_1024_bytes", "authed", iq("set", bind("r" * 1024)), bad("bad-request")),
    ("a_resource_that_looks_like_markup", "authed", iq("set", bind("&lt;iq&gt;")),
     bound_as("&lt;iq&gt;")),
    ("an_empty_resource", "authed", iq("set", bind("")), bound_as("[^<]+")),
    ("a_binding_of_type_get", "authed", iq("get", bind("x")), stream_error("not-authorized")),
    ("a_binding_with_two_payloads", "authed", iq("set", bind("x") + "<a xmlns='b'/>"),
     bad("bad-request")),
    ("a_second_binding", "bound", iq("set", bind("again")), stanza("iq", "not-allowed")),
    ("the_session_of_rfc3921_twice", "bound",
     iq("set", "<session xmlns='urn:ietf:params:xml:ns:xmpp-session'/>") * 2,
     says("<iq [^>]*type='result'.*<iq [^>]*type='result'")),
]


def scram_first(c, user):
    """Begins SCRAM-SHA-256; the server's first message."""
    reach(c, "tls")
    c.send(auth("SCRAM-SHA-256", b64(f"n,,n={user},r=clientnonce")))
    text = c.expect("<challenge[^>]*>([^<]*)</challenge>").group(1)
    return base64.b64decode(text).decode()


def scram_finish(c, user, password, server_first):
    """Sends the proof, right or wrong; the answer's bytes."""
    values = dict(part.split("=", 1) for part in server_first.split(","))
    salted = hashlib.pbkdf2_hmac("sha256", password.encode(), base64.b64decode(values["s"]),
                                 int(values["i"]))
    client_key = hmac.digest(salted, b"Client Key", "sha256")
    without = f"c=biws,r={values['r']}"
    message = f"n={user},r=clientnonce,{server_first},{without}".encode()
    signature = hmac.digest(hashlib.sha256(client_key).digest(), message, "sha256")
    proof = bytes(a ^ b for a, b in zip(client_key, signature))
    c.send(f"<response {SASL}>{b64(without + ',p=' + b64(proof))}</response>")
    return c.expect("<(failure|success).*?(</failure>|</success>)").group(0)


def scram_does_not_tell_who_exists(rh):
    shapes = []
    for user in ("juliet", "nobody"):
        firsts = []
        for _ in range(2):
            with Raw(rh) as c:
                first = scram_first(c, user)
                firsts.append(re.search("s=([^,]*)", first).group(1))
                answer = scram_finish(c, user, "wrong", first)
        assert firsts[0] == firsts[1], "the salt of a user changes between two logins"
        iterations = re.search("i=([0-9]+)", first).group(1)
        shapes.append((len(firsts[0]), iterations, answer))
    assert shapes[0] == shapes[1], shapes
    assert b"<not-authorized" in shapes[0][2], shapes
    with Raw(rh) as c:
        answer = scram_finish(c, "juliet", "capulet", scram_first(c, "juliet"))
        assert answer.startswith(b"<success"), answer


def scram_with_another_nonce_is_refused(rh):
    with Raw(rh) as c:
        first = scram_first(c, "juliet")
        answer = scram_finish(c, "juliet", "capulet", first.replace("r=clientnonce", "r=other"))
        assert b"<failure" in answer, answer
    still_serves(rh)


def a_proof_that_was_heard_is_no_use_in_another_login(rh):
    heard = []
    with Raw(rh) as c:
        send = c.send
        c.send = lambda data: (heard.append(data), send(data))[1]
        assert scram_finish(c, "juliet", "capulet", scram_first(c, "juliet")).startswith(b"<succ")
    with Raw(rh) as c:
        scram_first(c, "juliet")
        c.send(heard[-1])
        c.expect("<failure")
    still_serves(rh)


def wrong_password_and_unknown_user_get_the_same_answer(rh):
    answers = []
    for user in ("juliet", "nobody"):
        with Raw(rh) as c:
            reach(c, "tls")
            c.plain(user, "wrong")
            answers.append(c.expect("<failure.*?</failure>").group(0))
    assert answers[0] == answers[1], answers


def too_many_failed_logins_end_the_stream(rh):
    with Raw(rh) as c:
        reach(c, "tls")
        for _ in range(50):
            c.plain("juliet", "wrong")
        end = c.read_to_end().decode()
        assert "<not-authorized" in end and "<policy-violation" in end, end
        assert end.endswith("</stream:stream>"), end
        assert end.count("<failure") == 3, end  # limits.login_attempts
    still_serves(rh)


def a_session_too_many_is_refused_and_the_others_stay(rh):
    """router.sessions_per_user is 20."""
    sessions = [Raw(rh) for _ in range(20)]
    for i, c in enumerate(sessions):
        c.login(*ROMEO, resource=f"r{i}")
    with Raw(rh) as c:
        c.authenticate(*ROMEO)
        c.send(iq("set", bind("r20")))
        c.expect("<iq [^>]*type='error'[^>]*>.*?<resource-constraint ")
    for c in sessions:
        c.ping()
        c.close()
    still_serves(rh)


def a_resource_that_is_taken_replaces_the_older_session(rh):
    with Raw(rh) as old, Raw(rh) as new:
        old.login(*JULIET, resource="same")
        new.login(*JULIET, resource="same")
        assert b"<stream:error><conflict " in old.read_to_end()
        nothing(new)
    still_serves(rh)


if __name__ == "__main__":
    sys.exit(main(ROWS, (scram_does_not_tell_who_exists, scram_with_another_nonce_is_refused,
                         a_proof_that_was_heard_is_no_use_in_another_login,
                         wrong_password_and_unknown_user_get_the_same_answer,
                         too_many_failed_logins_end_the_stream,
                         a_session_too_many_is_refused_and_the_others_stay,
                         a_resource_that_is_taken_replaces_the_older_session)))
