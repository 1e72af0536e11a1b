#!/usr/bin/python3
"""XEP-0077 before login against the real programs: an account is made inside TLS, can log in at
once, and nobody makes many."""
import os
import signal
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../support"))
import slix  # noqa: E402
from roundhouse import Instance, Raw, case, run_cases  # noqa: E402

PER_HOUR = 12
FEATURE = b"http://jabber.org/features/iq-register"


def form(user, password):
    return (f"<iq type='set' id='s'><query xmlns='jabber:iq:register'><username>{user}</username>"
            f"<password>{password}</password></query></iq>")


def secured(rh):
    c = Raw(rh)
    c.start_tls()
    c.open()
    return c


def answer(c, stanza):
    c.send(stanza)
    return c.expect("<iq .*?</iq>").group(0).decode()


def refused(c, stanza, condition, kind):
    text = answer(c, stanza)
    assert f"<{condition} " in text and f"type='{kind}'" in text.split("<error")[1], text


@case
def it_is_offered_inside_tls_only(rh):
    with Raw(rh) as c:
        c.header()
        assert FEATURE not in c.expect("<stream:features>.*</stream:features>").group(0)
        c.send("<iq type='get' id='g'><query xmlns='jabber:iq:register'/></iq>")
        assert b"<not-authorized " in c.read_to_end()
    with Raw(rh) as c:
        c.start_tls()
        c.header()
        assert FEATURE in c.expect("<stream:features>.*</stream:features>").group(0)


@case
def a_new_account_logs_in_on_the_same_stream(rh):
    with secured(rh) as c:
        fields = answer(c, "<iq type='get' id='g' to='localhost'>"
                           "<query xmlns='jabber:iq:register'/></iq>")
        assert "<username/><password/>" in fields, fields
        assert answer(c, form("Mercutio", "queen mab")).startswith("<iq type='result' id='s'")
        c.plain("mercutio", "queen mab")
        c.expect("<success")
    assert "mercutio@localhost" in rh.run("xmpp", "user", "list").stdout
    rh.wait_log("cm-client", 'event=register user="mercutio"')
    rh.wait_log("cm-client", "event=registered")
    assert "queen mab" not in rh.log("cm-client") + rh.log("datastore") + rh.log("router")


@case
def slixmpp_registers_and_logs_in_by_scram(rh):
    async def story():
        class Newcomer(slix.Client):
            def __init__(self):
                super().__init__(rh, "tybalt@localhost", "cat")
                self.register_plugin("xep_0077")
                self["xep_0077"].create_account = True
                self._always_send_everything = True  # slixmpp 1.8 keeps its own registration back
                self.add_event_handler("register", self.fill_in)

            async def fill_in(self, _):
                iq = self.Iq()
                iq["type"] = "set"
                iq["register"]["username"] = self.boundjid.user
                iq["register"]["password"] = self.password
                await iq.send()

        tybalt = await Newcomer().login()
        await tybalt.leave()
    slix.run(story())
    rh.wait_log("cm-client", "tybalt@localhost event=auth mechanism=SCRAM")


@case
def a_name_that_is_taken_is_a_conflict(rh):
    with secured(rh) as c:
        refused(c, form("juliet", "mine"), "conflict", "cancel")
        c.plain("juliet", "mine")  # it is not the password now
        c.expect("<not-authorized")
        c.plain("juliet", "capulet")
        c.expect("<success")


@case
def what_is_missing_is_not_acceptable_and_three_refusals_end_the_stream(rh):
    with secured(rh) as c:
        refused(c, form("nurse", ""), "not-acceptable", "modify")
        refused(c, form("the nurse", "x"), "not-acceptable", "modify")
        c.send("<iq type='set' id='s'><query xmlns='jabber:iq:register'><remove/></query></iq>")
        end = c.read_to_end()
        assert b"<unexpected-request " in end and b"<policy-violation " in end, end


@case
def an_account_a_stream(rh):
    with secured(rh) as c:
        assert "type='result'" in answer(c, form("benvolio", "x"))
        refused(c, form("benvolia", "x"), "not-acceptable", "modify")


@case
def without_a_datastore_it_is_refused_for_now_and_happens_later(rh):
    pid = rh.pid("datastore")
    os.kill(pid, signal.SIGSTOP)
    try:
        with secured(rh) as c:
            refused(c, form("paris", "x"), "resource-constraint", "wait")
    finally:
        os.kill(pid, signal.SIGCONT)
    with secured(rh) as c:
        assert "type='result'" in answer(c, form("paris", "x"))
        c.plain("paris", "x")
        c.expect("<success")


@case
def an_address_has_so_many_attempts_in_an_hour(rh):
    refusals = 0
    for i in range(PER_HOUR + 2):
        with secured(rh) as c:
            text = answer(c, form(f"servant{i}", "x"))
        if "type='result'" in text:
            assert refusals == 0, "after a refusal"
        else:
            assert "<resource-constraint " in text and "try again in an hour" in text, text
            refusals += 1
    assert refusals >= 2, refusals
    rh.wait_log("cm-client", "event=register_refused condition=resource-constraint")


@case
def a_reload_turns_it_off(rh):
    rh.configure({"registration": "enabled = false;"})
    rh.run("supervisor", "reload")
    with Raw(rh) as c:
        c.start_tls()
        c.header()
        assert FEATURE not in c.expect("<stream:features>.*</stream:features>").group(0)
        refused(c, form("ghost", "x"), "service-unavailable", "cancel")


if __name__ == "__main__":
    settings = f"enabled = true;\n\tper_hour_per_address = {PER_HOUR};"
    with Instance(config={"registration": settings}) as instance:
        instance.add_user("juliet@localhost", "capulet")
        sys.exit(run_cases(instance))
