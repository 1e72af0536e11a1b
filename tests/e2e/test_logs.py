#!/usr/bin/python3
"""What an operator reads: `supervisor logs -f` shows a login as it happens, an id follows a client
through cm-client and router, secrets and bodies are in no log."""
import os
import re
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../support"))
from roundhouse import BIN, Instance, Raw, case, run_cases, wait_for


@case
def logs_f_shows_a_login_as_it_happens(rh):
    with tempfile.TemporaryFile("w+") as out:
        follow = subprocess.Popen([os.path.join(BIN, "supervisor"), "-C", rh.dir, "logs", "-f",
                                   "cm-client"], stdout=out, stderr=out)
        try:
            with Raw(rh) as c:
                c.login("juliet", "capulet", resource="followed")

                def shown():
                    out.seek(0)
                    return "juliet@localhost/followed" in out.read()
                wait_for(shown, "the login in `supervisor logs -f cm-client`")
            assert follow.poll() is None, "logs -f ended by itself"
        finally:
            follow.terminate()
            follow.wait()


@case
def logs_n_shows_the_last_lines(rh):
    text = rh.run("supervisor", "logs", "cm-client", "-n", "1").stdout
    assert len(text.splitlines()) == 1, text


@case
def every_line_is_one_event_with_time_level_service_and_pid(rh):
    form = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\S* (error|warn|info|debug) +"
                      r"[a-z0-9-]+\[\d+\] \S+ .*\bevent=[a-z0-9_-]+")
    for service in ("cm-client", "router", "datastore", "supervisor"):
        lines = rh.log(service).splitlines()
        assert lines, f"the log of {service} is empty"
        for line in lines:
            assert form.match(line), f"{service}: {line}"


@case
def the_same_id_names_a_client_in_cm_client_and_router(rh):
    with Raw(rh) as c:
        c.login("juliet", "capulet", resource="traced")
    line = rh.wait_log("cm-client", r"^.*juliet@localhost/traced.*$").group(0)
    ident = re.search(r"\S+\[\d+\] (\S+)", line).group(1)
    assert ident != "-", line
    rh.wait_log("router", r"\b%s\b" % re.escape(ident))


@case
def passwords_and_bodies_are_in_no_log(rh):
    with Raw(rh) as c:
        c.login("juliet", "capulet")
        c.send("<message to='juliet@localhost'><body>s3cret-body</body></message>")
        c.ping()
    for name in os.listdir(rh.path("log")):
        with open(rh.path("log", name), encoding="utf-8", errors="replace") as f:
            text = f.read()
        for secret in ("capulet", "s3cret-body", "AGp1bGlldABjYXB1bGV0"):
            assert secret not in text, f"{secret} in log/{name}"


if __name__ == "__main__":
    with Instance() as instance:
        instance.add_user("juliet@localhost", "capulet")
        sys.exit(run_cases(instance))
