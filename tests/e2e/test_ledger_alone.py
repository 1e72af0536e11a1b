#!/usr/bin/python3
"""The ledger test, short form: 200 clients and 13 connections of components, nothing acknowledged is
lost. 75 s with 26 kills of router, cm-clients, cm-components, datastore and supervisor, one in five
of them two in quick succession, with carbons, blocks and archives; half a minute with 10 for clients
without XEP-0198 and without all these.

LEDGER_SECONDS, LEDGER_KILLS, LEDGER_RATE and LEDGER_SEED make it longer or another one; the long
form is `make soak`, tests/ledger/README.md says what is judged."""
import os
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "../support"))
sys.path.insert(0, os.path.join(HERE, "../ledger"))
from roundhouse import BIN, SANITIZED, case, run_cases
import drive

# A sanitized server on a small machine does not keep up with more.
RATE = "120" if SANITIZED else "400"


def drive_with(seconds, kills, *more):
    options = ["--logs", *more]
    for name, default in (("SECONDS", seconds), ("KILLS", kills), ("RATE", RATE), ("SEED", None)):
        value = os.environ.get("LEDGER_" + name, default)
        if value:
            options += ["--" + name.lower(), value]
    result, wrong = drive.drive(drive.arguments(options))
    drive.show(result, wrong)
    assert not wrong, "; ".join(wrong)


@case
def nothing_acknowledged_is_lost_repeated_or_overtaken_while_services_are_killed():
    drive_with("75", "26", "--carbons", "0.7", "--block", "0.2", "--archive", "--components", "4",
               "--bridges", "4", "--shared", "2", "--callbridge")


@case
def without_stream_management_nothing_is_lost_when_nobody_dies_at_that_moment():
    drive_with("30", "10", "--no-sm")


if __name__ == "__main__":
    if not os.path.exists(os.path.join(BIN, "ledger")):
        print("ledger is not built")
        sys.exit(77)
    sys.exit(run_cases())
