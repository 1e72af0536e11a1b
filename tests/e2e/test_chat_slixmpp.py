#!/usr/bin/python3
"""Two slixmpp clients log in with STARTTLS and certificate checking and chat; again after stop and
start; and they refuse a server whose certificate is of another CA."""
import os
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../support"))
from roundhouse import Instance, case, run_cases
import slix


async def chat_both_ways(rh):
    juliet = await slix.Client(rh, "juliet@localhost/balcony", "capulet").login()
    romeo = await slix.Client(rh, "romeo@localhost/orchard", "montague").login()
    for i in range(20):
        juliet.chat("romeo@localhost", f"art thou not Romeo? <{i}> & \u00e9\U0001f339")
        m = await romeo.next_message()
        assert m["from"].full == "juliet@localhost/balcony", m
        assert m["body"] == f"art thou not Romeo? <{i}> & \u00e9\U0001f339", m
        romeo.chat("juliet@localhost/balcony", f"neither {i}")
        m = await juliet.next_message()
        assert m["from"].full == "romeo@localhost/orchard", m
        assert m["body"] == f"neither {i}", m
    await juliet.leave()
    await romeo.leave()


@case
def two_clients_chat_in_both_directions(rh):
    slix.run(chat_both_ways(rh))


@case
def they_chat_again_after_stop_and_start(rh):
    rh.stop()
    assert not rh.processes(), rh.processes()
    rh.start()
    slix.run(chat_both_ways(rh))


@case
def a_wrong_password_is_refused_with_not_authorized(rh):
    async def attempt():
        try:
            await slix.Client(rh, "juliet@localhost", "wrong").login()
        except slix.LoginFailed as e:
            assert "not-authorized" in str(e), e
            return
        raise AssertionError("logged in with a wrong password")
    slix.run(attempt())


@case
def a_client_that_trusts_another_ca_does_not_log_in(rh):
    other = os.path.join(os.path.dirname(rh.dir), "other.pem")
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt",
                    "ec_paramgen_curve:prime256v1", "-nodes", "-subj", "/CN=other CA", "-keyout",
                    "/dev/null", "-out", other], check=True, stderr=subprocess.DEVNULL)

    async def attempt():
        try:
            await slix.Client(rh, "juliet@localhost", "capulet", ca=other).login()
        except slix.LoginFailed:
            return
        raise AssertionError("accepted a certificate of another CA")
    slix.run(attempt())


if __name__ == "__main__":
    with Instance() as instance:
        instance.add_user("juliet@localhost", "capulet")
        instance.add_user("romeo@localhost", "montague")
        sys.exit(run_cases(instance))
