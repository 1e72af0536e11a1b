#!/usr/bin/python3
"""
The datastore hangs (SIGSTOP) for FAULT_SECONDS, 20 if not told, which is longer than every time-out
involved: chat goes on, what needs the disk is answered or kept, and afterwards the books balance.
"""
import os
import signal
import sys
import threading
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../support"))
from roundhouse import Instance, Raw, case, run_cases, wait_for
from sm import Client, Plain, Talk, balanced, texts, until

SECONDS = float(os.environ.get("FAULT_SECONDS", "20"))
JULIET = ("juliet", "capulet")
ROMEO = ("romeo", "montague")
NURSE = ("nurse", "capulet")

ROSTER_ITEM = ("<iq type='set' id='{0}'><query xmlns='jabber:iq:roster'>"
               "<item jid='{0}@localhost' name='{0}'/></query></iq>")


class Stopped:
    """While the datastore is stopped: what status and stats said, looked at by a thread."""

    def __init__(self, rh):
        self.rh = rh
        self.pid = rh.pid("datastore")
        self.remarks = set()
        self.pending = 0
        self.over = threading.Event()

    def __enter__(self):
        os.kill(self.pid, signal.SIGSTOP)
        self.until = time.monotonic() + SECONDS
        self.thread = threading.Thread(target=self.look)
        self.thread.start()
        return self

    def look(self):
        while not self.over.wait(0.5):
            for row in self.rh.services():
                if not row["ready"] or row["alarm"]:
                    self.remarks.add(f"{row['instance']}: {row['alarm'] or row['state']}")
            self.pending = max(self.pending, self.rh.stats("router")["store_pending"])

    def pump(self, *clients):
        """Until the time is over."""
        while time.monotonic() < self.until:
            for c in clients:
                c.pump(0.05)

    def __exit__(self, *_):
        os.kill(self.pid, signal.SIGCONT)
        self.over.set()
        self.thread.join()


def refused_login(rh):
    """In time, and with the error that says: try again later."""
    with Raw(rh) as c:
        began = time.monotonic()
        c.start_tls()
        c.open()
        c.plain(*JULIET)
        c.expect("<failure [^>]*><temporary-auth-failure/>")
        return time.monotonic() - began


@case
def chat_goes_on_and_what_needs_the_disk_is_kept_or_refused(rh):
    before = {row["instance"]: row["pid"] for row in rh.services()}
    sender, away = Client(rh, JULIET, "sender"), Client(rh, ROMEO, "away")
    for c in (sender, away):
        c.send("<presence/>")
    sent = texts("offline", 40)
    early, late = sent[:20], sent[20:]
    with Talk(rh, Client, JULIET, ROMEO, "sm") as sm, Talk(rh, Plain, JULIET, ROMEO, "plain") as plain:
        with Stopped(rh) as stopped:
            rh.told = stopped.remarks
            begun = sm.rounds, plain.rounds
            for text in early:
                sender.say("nurse@localhost", text)
            sender.send(ROSTER_ITEM.format("early"))
            away.drop()
            for text in texts("away", 5):
                sender.say(away.jid, text)
            assert refused_login(rh) < 10
            until(lambda: len(sender.errors) == 21, "every one of them to be refused", sender)
            stopped.until -= 2
            stopped.pump(sender)
            # These find the datastore back before their time is over.
            for text in late:
                sender.say("nurse@localhost", text)
            sender.send(ROSTER_ITEM.format("late"))
            stopped.until += 2
            stopped.pump(sender)
            rounds = sm.rounds - begun[0], plain.rounds - begun[1]
        # A round is milliseconds; it would be none at all if anything of it waited for the disk.
        assert min(rounds) > 5 * SECONDS, rounds
        until(lambda: "late" in sender.results, "the answer to the roster change", sender)
        away.resume()
        until(lambda: len(away.got) == 5, "what waited for the one who was away", away, sender)
    assert sm.is_unbroken() and plain.is_unbroken()
    errors = " ".join(sender.errors)
    assert len(sender.errors) == 21 and errors.count("resource-constraint") == 21 and \
        errors.count('type="wait"') == 21, sender.errors
    assert away.got == texts("away", 5), away.got
    check_stored(rh, early, late, sender)
    for c in (sender, away):
        c.close()
    assert {row["instance"]: row["pid"] for row in rh.services()} == before
    assert not [row for row in rh.services() if row["restarts"] or row["last_exit"]]
    assert stopped.pending > 0
    balanced(rh)


def check_stored(rh, early, late, sender):
    """Either refused or stored, never both, never neither."""
    nurse = Plain(rh, NURSE, "home")
    nurse.send("<presence/>")
    until(lambda: len(nurse.got) >= len(late), "the stored messages", nurse, sender)
    nurse.pump(0.5)
    assert nurse.got == late, nurse.got
    nurse.close()
    with Raw(rh) as c:
        c.login(*JULIET, resource="roster")
        c.send("<iq type='get' id='ro'><query xmlns='jabber:iq:roster'/></iq>")
        items = c.expect("<iq [^>]*id=['\"]ro['\"].*?</iq>").group(0)
        assert b"late@localhost" in items and b"early@localhost" not in items, items


@case
def status_told_of_it_meanwhile(rh):
    assert rh.told, "`supervisor status` said that all is well"
    assert any("datastore" in remark for remark in rh.told), rh.told
    wait_for(lambda: not [row for row in rh.services() if row["alarm"]], "all to be well again")


if __name__ == "__main__":
    with Instance() as instance:
        for name, password in (JULIET, ROMEO, NURSE):
            instance.add_user(f"{name}@localhost", password)
        sys.exit(run_cases(instance))
