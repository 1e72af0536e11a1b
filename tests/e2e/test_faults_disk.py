#!/usr/bin/python3
"""
The disk is full for FAULT_SECONDS, 20 if not told: data/ is a small tmpfs in a mount namespace of our
own, filled with a file. Chat goes on, what must be stored is refused; a cm-client that dies meanwhile
cannot be put on the shelf, and is as soon as there is space again.
"""
import ctypes
import os
import re
import subprocess
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../support"))
from roundhouse import Instance, case, run_cases, wait_for
from sm import Client, Plain, Talk, balanced, settle, texts, until

SECONDS = float(os.environ.get("FAULT_SECONDS", "20"))
DISK_BYTES = 24 << 20
CLONE_NEWNS = 0x20000
JULIET = ("juliet", "capulet")
ROMEO = ("romeo", "montague")
NURSE = ("nurse", "capulet")
BENVOLIO = ("benvolio", "montague")


def own_mounts():
    """What this process mounts from now on only it and its children see. False: not permitted."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(CLONE_NEWNS) != 0:
        return False
    return libc.mount(b"none", b"/", None, 0x4000 | 0x40000, None) == 0  # MS_REC | MS_PRIVATE


def mount_data(rh):
    """An empty tmpfs on data/, with its owner and mode; before the first start."""
    st = os.stat(rh.path("data"))
    options = f"size={DISK_BYTES},mode={st.st_mode & 0o7777:o},uid={st.st_uid},gid={st.st_gid}"
    done = subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", rh.path("data")],
                          stderr=subprocess.PIPE, text=True, check=False)
    return None if done.returncode == 0 else done.stderr.strip()


def fill(rh):
    with open(rh.path("data", "ballast"), "wb", buffering=0) as f:
        try:
            while True:
                f.write(b"x" * 65536)
        except OSError:
            pass
    left = os.statvfs(rh.path("data"))
    assert left.f_bavail * left.f_frsize < 65536, left


def empty(rh):
    os.unlink(rh.path("data", "ballast"))


def manager_of(rh, client):
    """The cm-client instance that this client is connected to."""
    local = "%s:%d" % client.raw.sock.getsockname()
    return rh.wait_log("cm-client", rf"(cm-client-\d)\[\d+\] \S+ event=connect "
                                    rf"addr={re.escape(local)}\b").group(1)


def clients_at(rh, manager, user, count):
    """So many clients of one account whose connection is with that manager."""
    found = []
    while len(found) < count:
        c = Client(rh, user, f"r{len(found)}")
        if manager_of(rh, c) == manager:
            found.append(c)
            c.send("<presence/>")
        else:
            c.close()
    return found


@case
def chat_goes_on_and_what_must_be_stored_is_refused(rh):
    talks = Talk(rh, Client, JULIET, ROMEO, "sm"), Talk(rh, Plain, JULIET, ROMEO, "plain")
    for talk in talks:  # only the other manager is killed: these connections are not to break
        for c in talk.pair:
            while manager_of(rh, c) != "cm-client-2":
                c.raw.close()
                c._log_in()
    soon, late = clients_at(rh, "cm-client-1", BENVOLIO, 2)
    sender = Client(rh, JULIET, "sender")
    with talks[0] as sm, talks[1] as plain:
        begun = sm.rounds, plain.rounds
        fill(rh)
        end = time.monotonic() + SECONDS
        refused(rh, sender)
        for c in (soon, late):
            for text in texts("before", 3):
                sender.say(c.jid, text)
            until(lambda c=c: len(c.got) == 3, "what came before", c, sender)
        resumed_on_a_full_disk(rh, sender, soon, late)
        while time.monotonic() < end:
            sender.live(0.05)
            soon.live(0.05)
        rounds = sm.rounds - begun[0], plain.rounds - begun[1]
        assert min(rounds) > 5 * SECONDS, rounds
        assert rh.service("datastore")["alarm"], "`supervisor status` said that all is well"
        assert rh.stats("router")["shelf_behind"] > 0
        empty(rh)
    assert sm.is_unbroken() and plain.is_unbroken()
    wait_for(lambda: not rh.service("datastore")["alarm"], "the alarm to be taken back")
    rh.wait_stats("router", lambda s: s["shelf_behind"] == 0)
    with_space_again(rh, sender, late)
    for c in (sender, soon, late):
        c.close()
    balanced(rh)
    assert not rh.service("datastore")["restarts"], rh.service("datastore")


def refused(rh, sender):
    wait_for(lambda: rh.service("datastore")["alarm"], "an alarm")
    for text in texts("lost", 5):
        sender.say("nurse@localhost", text)
    sender.send("<iq type='set' id='add'><query xmlns='jabber:iq:roster'>"
                "<item jid='friend@localhost' name='friend'/></query></iq>")
    until(lambda: len(sender.errors) == 6, "refusals", sender)
    for e in sender.errors:
        assert "resource-constraint" in e and 'type="wait"' in e, e


def resumed_on_a_full_disk(rh, sender, soon, late):
    """Their manager dies; nothing of them can be written. One comes back at once, one later."""
    late.drop()
    for text in texts("queued", 5):
        sender.say(late.jid, text)
    settle(sender)
    rh.kill("cm-client-1")
    rh.wait_log("router", "event=behind")
    soon.resume()
    for text in texts("soon", 5):
        sender.say(soon.jid, text)
        soon.say(sender.jid, text)
    until(lambda: len(soon.got) == 8 and len(sender.got) == 5, "chat after the resume", soon, sender)
    assert soon.got == texts("before", 3) + texts("soon", 5), soon.got


def with_space_again(rh, sender, late):
    """What was behind is on the shelf now: it outlives the router, too."""
    rh.kill("router")
    late.resume()
    until(lambda: len(late.got) >= 8, "what waited", late, sender)
    late.live(0.3)
    assert late.got == texts("before", 3) + texts("queued", 5), late.got
    for text in texts("kept", 5):
        sender.say("nurse@localhost", text)
    settle(sender)
    nurse = Plain(rh, NURSE, "home")
    nurse.send("<presence/>")
    until(lambda: len(nurse.got) >= 5, "stored messages", nurse, sender)
    nurse.pump(0.3)
    assert nurse.got == texts("kept", 5), nurse.got
    nurse.close()
    assert len(sender.errors) == 6, sender.errors


def main():
    if os.getuid() != 0 or not own_mounts():
        print("mounting a tmpfs is not permitted here: run as root")
        return 77
    with Instance(start=False, config={"cm-client": "instances = 2;"}) as rh:
        why = mount_data(rh)
        if why:
            print(f"mounting a tmpfs is not permitted here: {why}")
            return 77
        rh.start()
        for name, password in (JULIET, ROMEO, NURSE, BENVOLIO):
            rh.add_user(f"{name}@localhost", password)
        try:
            return run_cases(rh)
        finally:
            rh.stop()
            subprocess.run(["umount", "-l", rh.path("data")], check=False)


if __name__ == "__main__":
    sys.exit(main())
