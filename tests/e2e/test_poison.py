#!/usr/bin/python3
"""
Poison (CUSTODY 11): a stanza that kills whatever router it comes to. A debug hook makes the router
abort on the stanza with a certain id. The service is back within three restarts, the stanza is
bounced and in data/quarantine, everything else was delivered once and in order.
"""
import os
import stat
import sys

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "support"))
POISON = "poison-7"
os.environ["ROUNDHOUSE_DEBUG_ABORT_ID"] = POISON
from roundhouse import Instance, case, run_cases, wait_for  # noqa: E402
from sm import Client, Plain, settle, texts, until  # noqa: E402

JULIET = ("juliet", "capulet")
ROMEO = ("romeo", "montague")


def quarantined(rh):
    folder = rh.path("data", "quarantine")
    names = os.listdir(folder) if os.path.isdir(folder) else []
    return [os.path.join(folder, name) for name in names]


@case
def a_stanza_that_kills_the_router_is_bounced_and_kept_aside(rh):
    juliet, romeo = Client(rh, JULIET, "p"), Client(rh, ROMEO, "p")
    other, third = Plain(rh, ROMEO, "q"), Plain(rh, JULIET, "q")
    for c in (juliet, romeo, other, third):
        c.send("<presence/>")
    settle(juliet, romeo)
    before, after = texts("before", 20), texts("after", 20)
    for text in before:
        juliet.say(romeo.jid, text)
        third.say(other.jid, text)
    juliet.send(f"<message id='{POISON}' type='chat' to='{romeo.jid}'><body>deadly</body></message>")
    for text in after:
        juliet.say(romeo.jid, text)
        third.say(other.jid, text)
    everybody = (juliet, romeo, other, third)
    until(lambda: len(romeo.got) >= 40 and len(other.got) >= 40 and juliet.errors,
          "messages and the error", *everybody)
    settle(juliet, romeo)
    for c in everybody:
        c.live(0.2)
    assert romeo.got == before + after, romeo.got
    assert other.got == before + after, other.got
    assert len(juliet.errors) == 1 and "internal-server-error" in str(juliet.errors[0]), juliet.errors
    assert (juliet.resumes, romeo.resumes) == (0, 0)  # no client lost its connection
    assert (other.logins, third.logins) == (1, 1)

    assert rh.service("router")["restarts"] <= 3, rh.service("router")
    files = wait_for(lambda: quarantined(rh), "a file in data/quarantine")
    assert len(files) == 1, files
    with open(files[0], "rb") as f:
        content = f.read()
    assert b"deadly" in content and POISON.encode() in content, content
    assert romeo.jid.encode() in content.split(b"\n")[0], content
    assert stat.S_IMODE(os.stat(files[0]).st_mode) == 0o600
    rh.wait_log("cm-client", f"event=quarantined .*{POISON}")
    assert "deadly" not in rh.log("cm-client")
    wait_for(lambda: "quarantine" in rh.run("supervisor", "status").stdout, "status tells of it")
    rh.wait_stats("router", lambda s: s["held"] == 0 and s["difference"] == 0)
    for c in everybody:
        c.close()


if __name__ == "__main__":
    with Instance() as instance:
        instance.add_user("juliet@localhost", "capulet")
        instance.add_user("romeo@localhost", "montague")
        sys.exit(run_cases(instance))
