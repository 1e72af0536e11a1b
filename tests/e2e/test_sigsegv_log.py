#!/usr/bin/python3
"""The log of a service killed with SIGSEGV or SIGABRT ends with why and where.

Under the address sanitizer the report of SIGSEGV is the sanitizer's own.
"""
import os
import re
import signal
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../support"))
from roundhouse import SANITIZED, Instance, Raw, case, run_cases, wait_for


def last_words(rh, service, number):
    """What the process that got the signal wrote after it, up to its end."""
    before = len(rh.log(service))
    pid = rh.kill(service, number)
    wait_for(lambda: rh.service(service)["pid"] not in (0, None, pid), f"a new {service}")
    rh.wait_ready()
    lines = rh.log(service)[before:].splitlines()
    # The next process' lines name another pid; what the crash wrote comes before them.
    mine = []
    for line in lines:
        if re.search(r"\[\d+\]", line) and f"[{pid}]" not in line:
            break
        mine.append(line)
    return "\n".join(mine)


def ends_with_why_and_where(rh, service, number, name):
    words = last_words(rh, service, number)
    cause = rh.service(service)["last_exit"]
    if SANITIZED and number == signal.SIGSEGV:  # the sanitizer ends the process with exit code 1
        why, where = "ERROR: AddressSanitizer: SEGV", r"^ +#\d+ 0x[0-9a-f]+ in \w+"
    else:
        assert name in cause, cause
        why, where = f"event=crash signal={name}", r"^/.*\(.*\+0x[0-9a-f]+\) ?\[0x[0-9a-f]+\]$"
    assert why in words, f"the log does not say {why!r}: {words!r}"
    assert len(re.findall(where, words, re.M)) >= 3, f"no stack: {words!r}"


@case
def the_log_of_cm_client_ends_with_SIGSEGV_and_a_stack(rh):
    ends_with_why_and_where(rh, "cm-client", signal.SIGSEGV, "SIGSEGV")


@case
def the_log_of_the_router_ends_with_SIGSEGV_and_a_stack(rh):
    ends_with_why_and_where(rh, "router", signal.SIGSEGV, "SIGSEGV")


@case
def the_log_of_the_datastore_ends_with_SIGABRT_and_a_stack(rh):
    ends_with_why_and_where(rh, "datastore", signal.SIGABRT, "SIGABRT")


@case
def a_client_logs_in_after_the_crashes(rh):
    with Raw(rh) as c:
        c.login("juliet", "capulet")


if __name__ == "__main__":
    if SANITIZED:  # tests/run has reports written elsewhere and takes them for failures
        for var in ("ASAN_OPTIONS", "UBSAN_OPTIONS", "LSAN_OPTIONS"):
            os.environ[var] = os.environ.get(var, "") + ":log_path=stderr"
    with Instance() as instance:
        instance.add_user("juliet@localhost", "capulet")
        sys.exit(run_cases(instance))
