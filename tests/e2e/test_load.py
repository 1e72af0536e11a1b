#!/usr/bin/python3
"""The load generator against Roundhouse: every load runs without an error, lost, doubled or
overtaken message, by every way in and every mechanism; and nothing of it kills a process."""
import json
import os
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../support"))
from roundhouse import BIN, Instance, add_case, run_cases

USERS = 6

LOADS = [
    ("windowed_chat", "chat --pairs 5 --window 32 --time 2"),
    ("windowed_chat_of_large_messages", "chat --pairs 3 --window 8 --body 20000 --time 2"),
    ("windowed_chat_over_direct_tls", "chat --pairs 3 --window 8 --time 1 --tls direct"),
    ("windowed_chat_without_tls", "chat --pairs 3 --window 8 --time 1 --tls none"),
    ("one_message_in_flight", "chat --pairs 10 --window 1 --time 2"),
    ("ping_pong", "pingpong --pairs 2 --time 2"),
    ("logins_with_scram_sha_256", "login --count 60 --together 8 --mech SCRAM-SHA-256"),
    ("logins_with_scram_sha_1", "login --count 60 --together 8 --mech SCRAM-SHA-1"),
    ("logins_with_plain", "login --count 60 --together 8 --mech PLAIN"),
    ("logins_over_direct_tls", "login --count 60 --together 8 --tls direct"),
    ("idle_connections", "idle --count 60 --time 1"),
]


def load_case(options):
    def run(rh):
        verify = [] if "--tls none" in options else ["--ca", rh.ca]
        done = subprocess.run(
            [os.path.join(BIN, "xmpp-load"), *options.split(), "--port", str(rh.port), "--user",
             "load", "--users", str(USERS), "--password", "load", "--warmup", "0.3", "--json",
             "--pid-root", str(rh.supervisor_pid()), *verify],
            stdout=subprocess.PIPE, text=True, check=False)
        assert done.stdout, f"exit code {done.returncode}\n{rh.log_tail()}"
        result = json.loads(done.stdout)
        assert result["errors"] == 0, result
        assert result["count"] > 0, result
        assert len(result["processes"]) >= 4, result["processes"]
        now = {row["instance"]: (row["pid"], row["restarts"]) for row in rh.services()}
        assert now == rh.started, f"processes were replaced: {rh.started} {now}\n{rh.log_tail()}"
    return run


for name_, options_ in LOADS:
    add_case(name_, load_case(options_))

if __name__ == "__main__":
    if not os.path.exists(os.path.join(BIN, "xmpp-load")):
        print("xmpp-load is not built")
        sys.exit(77)
    with Instance(config={"cm-client": 'starttls = "optional";'}) as instance:
        for i in range(USERS):
            instance.add_user(f"load{i}@localhost", "load")
        instance.started = {row["instance"]: (row["pid"], row["restarts"])
                            for row in instance.services()}
        sys.exit(run_cases(instance))
