#!/usr/bin/python3
"""Accounts of call bridges (FEATURES 9.1: A30, A31, A32, A34, A39, A44, A66): the commands of the guides
on real instances, and components that connect with what they print."""
import json
import os
import pty
import pwd
import re
import shutil
import stat
import subprocess
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "support"))
from component import Component, Echo, Refused, listen_for_components  # noqa: E402
from roundhouse import BIN, Instance, Raw, case, run_cases, wait_for  # noqa: E402

JULIET = ("juliet@localhost", "r0m30")
GUIDES = "kvgP1SRzWVabhiPVAb1"  # a secret as the guides print it
PROMPT = "Enter callbridge secret: "


def bridges(rh, *options):
    """`xmpp callbridge list` as a list of dicts, read from its layout."""
    out = rh.run("xmpp", "callbridge", "list", *options).stdout
    found = []
    for line in out.splitlines():
        if line == "***":
            found.append({})
            continue
        assert re.fullmatch(r"[A-Z][a-z]+ +: .+", line) and line[24:26] == ": ", line
        found[-1][line[:24].rstrip()] = line[26:]
    return found


def add(rh, name):
    """`xmpp callbridge add`: its secret."""
    out = rh.run("xmpp", "callbridge", "add", name).stdout
    m = re.fullmatch(rf"Success {{17}}: true\nCallbridge {{14}}: {name}\nDomain {{18}}: localhost\n"
                     r"Secret {18}: ([A-Za-z0-9]+)\n", out)
    assert m, out
    return m.group(1)


def add_secret(rh, name, secret, check=True):
    return rh.run("xmpp", "callbridge", "add-secret", name, stdin=secret + "\n", check=check)


def clear(rh):
    for bridge in bridges(rh) if has_some(rh) else []:
        rh.run("xmpp", "callbridge", "del", bridge["Callbridge"])


def has_some(rh):
    return rh.run("xmpp", "callbridge", "list", "--json").stdout != ""


def say_and_hear(rh, component, text):
    """A message of a client to the component, and its answer."""
    with Raw(rh) as client:
        client.login("juliet", JULIET[1], "a" + text)
        client.send(f"<message to='bot@{component.jid}' type='chat'><body>{text}</body></message>")
        client.expect(f"<message [^>]*from='bot@{component.jid}'[^>]*>.*?<body>{text}</body>")


@case
def a30_callbridge_add_prints_a_secret_with_which_a_component_connects(one, _two):
    secret = add(one, "cb1")
    assert len(secret) >= 22, secret  # 128 bits of [A-Za-z0-9]
    for tls in (False, True, "starttls"):
        with Echo(one, "cb1.localhost", secret, tls=tls) as c:
            say_and_hear(one, c, f"over-{tls}")
    try:
        Component(one, "cb1.localhost", secret[:-1] + "?")
        raise AssertionError("a wrong secret was taken")
    except Refused as e:
        assert e.condition == "not-authorized", e
    clear(one)


@case
def a30_the_instance_may_be_named_from_where_one_stands(one, _two):
    def xmpp(*args, stdin=""):
        return subprocess.run([os.path.join(BIN, "xmpp"), "-C", os.path.basename(one.dir), *args],
                              cwd=os.path.dirname(one.dir), input=stdin, text=True, check=True,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT).stdout

    assert "Secret" in xmpp("callbridge", "add", "near")
    assert "Success" in xmpp("callbridge", "add-secret", "far", stdin=GUIDES + "\n")
    with open(os.path.join(os.path.dirname(one.dir), "other"), "w", encoding="utf-8") as f:
        f.write(xmpp("callbridge", "list", "--fingerprints"))
    assert xmpp("callbridge", "compare", "other").startswith("SUCCESS: ")
    for name in ("near", "far"):
        xmpp("callbridge", "del", name)


@case
def a30_a_second_add_of_the_name_is_refused_and_changes_nothing(one, _two):
    secret = add(one, "cb1")
    for name in ("cb1", "CB1"):
        done = one.run("xmpp", "callbridge", "add", name, check=False)
        assert done.returncode == 1 and "exists" in done.stdout, done.stdout
    assert [b["Secret"] for b in bridges(one)] == [secret]
    Component(one, "cb1.localhost", secret).close()
    clear(one)


@case
def a30_a_bridge_that_is_deleted_or_gets_another_secret_is_disconnected(one, _two):
    secret = add(one, "cb1")
    with Component(one, "cb1.localhost", secret) as c:
        add_secret(one, "cb1", GUIDES)
        assert c.refusal() == "reset"
    with Component(one, "cb1.localhost", GUIDES) as c:
        one.run("xmpp", "callbridge", "del", "cb1")
        assert c.refusal() == "not-authorized"
    try:
        Component(one, "cb1.localhost", GUIDES)
        raise AssertionError("a deleted call bridge was let in")
    except Refused as e:
        assert e.condition in ("not-authorized", "host-unknown"), e
    assert not has_some(one)


@case
def a31_add_list_and_the_handshake_agree_also_after_a_restart(one, _two):
    secret = add(one, "cb1")
    want = [{"Callbridge": "cb1", "Domain": "localhost", "Secret": secret}]
    assert bridges(one) == want
    for service in ("datastore", "router", "cm-component"):
        one.kill(service)
        one.wait_ready()
    assert bridges(one) == want
    line = json.loads(one.run("xmpp", "callbridge", "list", "--json").stdout)
    assert line == {"callbridge": "cb1", "domain": "localhost", "secret": secret}, line
    with Echo(one, "cb1.localhost", line["secret"]) as c:
        say_and_hear(one, c, "again")
    clear(one)


@case
def a32_three_bridges_have_three_secrets_and_are_connected_at_once(one, _two):
    secrets = {name: add(one, name) for name in ("cb1", "cb2", "cb3")}
    assert len(set(secrets.values())) == 3, secrets
    links = [Echo(one, f"{name}.localhost", secret) for name, secret in secrets.items()]
    rows = [json.loads(x) for x in one.run("xmpp", "component", "list", "--json").stdout.splitlines()]
    assert [(r["component"], r["connected"]) for r in rows] == \
        [("cb1", "yes"), ("cb2", "yes"), ("cb3", "yes")], rows
    for n, c in enumerate(links):
        say_and_hear(one, c, f"to-{n}")
    # From one to another: each from its own domain.
    links[0].message("bot@cb2.localhost", "hello", user="bot")
    wait_for(lambda: "hello" in links[1].got, "the message of cb1 at cb2")
    # The secret of one opens no door of another.
    try:
        Component(one, "cb2.localhost", secrets["cb1"])
        raise AssertionError("cb2 was let in with cb1's secret")
    except Refused as e:
        assert e.condition == "not-authorized", e
    for c in links:
        c.close()
    clear(one)


@case
def a34_list_has_the_layout_of_the_guides_in_the_order_of_addition(one, _two):
    for name, secret in (("cb3", "RJTmSh4smhLYguGpAb1"), ("cb2", "uBiLLdIU8vVqj86CAb1"),
                         ("cb1", GUIDES)):
        add_secret(one, name, secret)
    assert one.run("xmpp", "callbridge", "list").stdout == (
        "***\n"
        "Callbridge              : cb3\n"
        "Domain                  : localhost\n"
        "Secret                  : RJTmSh4smhLYguGpAb1\n"
        "***\n"
        "Callbridge              : cb2\n"
        "Domain                  : localhost\n"
        "Secret                  : uBiLLdIU8vVqj86CAb1\n"
        "***\n"
        "Callbridge              : cb1\n"
        "Domain                  : localhost\n"
        "Secret                  : kvgP1SRzWVabhiPVAb1\n")
    add_secret(one, "cb3", "another")  # a change is no new place
    assert [b["Callbridge"] for b in bridges(one)] == ["cb3", "cb2", "cb1"]
    clear(one)


@case
def a34_that_secrets_were_shown_stands_in_the_log_with_whom(one, _two):
    user = pwd.getpwuid(os.getuid()).pw_name
    shown = f'event=secret_shown by="{user}'
    before = one.log("datastore").count(shown)
    add(one, "cb1")
    bridges(one)
    bridges(one, "--fingerprints")
    one.run("xmpp", "component", "show", "cb1")
    assert one.log("datastore").count(shown) == before + 2, one.log("datastore")
    for secret in [b["Secret"] for b in bridges(one)]:
        for name in os.listdir(one.path("log")):
            assert secret not in one.log(name.split(".log")[0]), name
    clear(one)


def run_as(rh, user, *args):
    """The command as somebody else: his own copy of the program, wherever the build lies."""
    entry = pwd.getpwnam(user)
    program = os.path.join(os.path.dirname(rh.dir), "xmpp")
    shutil.copy(os.path.join(BIN, "xmpp"), program)
    os.chmod(program, 0o755)
    return subprocess.run([program, "-C", rh.dir, *args], input="secret\n", text=True, check=False,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, cwd="/",
                          user=entry.pw_uid, group=entry.pw_gid, extra_groups=[])


@case
def a34_nobody_but_the_administrator_sees_or_changes_secrets(one, _two):
    if os.getuid() != 0:
        print("skipped: only root can be somebody else")
        return
    secret = add(one, "cb1")
    users = ["nobody"]
    users += [u.pw_name for u in pwd.getpwall() if u.pw_name == "roundhouse-client"]
    for user in users:
        for args in (("callbridge", "list"), ("callbridge", "list", "--fingerprints"),
                     ("callbridge", "add", "cb2"), ("callbridge", "add-secret", "cb1"),
                     ("callbridge", "del", "cb1"), ("component", "show", "cb1", "--secret"),
                     ("component", "set", "cb1", "--hidden"), ("component", "add", "cb2"),
                     ("component", "list")):
            done = run_as(one, user, *args)
            assert done.returncode == 1 and "only the administrator of" in done.stdout, \
                (user, args, done.returncode, done.stdout)
            assert secret not in done.stdout, done.stdout
        # Not by another way either: no identity on the bus without the supervisor, and no file.
        done = run_as(one, user, "sessions")
        assert done.returncode != 0 and ("belongs to another user" in done.stdout or
                                         "as the instance's administrator" in done.stdout), \
            done.stdout
    assert bridges(one) == [{"Callbridge": "cb1", "Domain": "localhost", "Secret": secret}]
    mode = os.stat(one.path("data", "roundhouse.db")).st_mode
    assert stat.S_IMODE(mode) & 0o077 == 0, oct(mode)
    clear(one)


class Terminal:
    """A command on a terminal of its own; shown is all that a person would see."""

    def __init__(self, rh, *args):
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            os.execv(os.path.join(BIN, "xmpp"), ["xmpp", "-C", rh.dir, *args])
        self.shown = ""

    def wait_for(self, text):
        while text not in self.shown:
            data = os.read(self.fd, 4096)
            assert data, f"the command ended; shown: {self.shown!r}"
            self.shown += data.decode()

    def type(self, text):
        os.write(self.fd, text.encode())

    def end(self):
        try:
            while data := os.read(self.fd, 4096):
                self.shown += data.decode()
        except OSError:
            pass  # the terminal is gone with its last process
        os.close(self.fd)
        return os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])


@case
def a39_add_secret_prompts_without_echo_and_both_nodes_list_the_same(one, two):
    for name in ("cb1", "cb2"):
        secret = add(one, name)
        terminal = Terminal(two, "callbridge", "add-secret", name)
        terminal.wait_for(PROMPT)
        terminal.type(secret + "\n")
        assert terminal.end() == 0, terminal.shown
        assert secret not in terminal.shown, terminal.shown
        assert f"Callbridge              : {name}" in terminal.shown, terminal.shown
    assert bridges(one) == bridges(two)
    with Echo(two, "cb1.localhost", bridges(one)[0]["Secret"]) as c:
        say_and_hear(two, c, "node-2")
    clear(one)
    clear(two)


@case
def a39_an_empty_secret_is_refused_typed_or_piped(_one, two):
    terminal = Terminal(two, "callbridge", "add-secret", "cb1")
    terminal.wait_for(PROMPT)
    terminal.type("\n")
    assert terminal.end() == 1 and "empty" in terminal.shown, terminal.shown
    done = add_secret(two, "cb1", "", check=False)
    assert done.returncode == 1 and "empty" in done.stdout, done.stdout
    assert not has_some(two)
    add_secret(two, "cb1", GUIDES)
    done = add_secret(two, "cb1", "", check=False)
    assert done.returncode == 1 and [b["Secret"] for b in bridges(two)] == [GUIDES]
    clear(two)


@case
def a39_an_interrupt_at_the_prompt_changes_nothing(_one, two):
    terminal = Terminal(two, "callbridge", "add-secret", "cb1")
    terminal.wait_for(PROMPT)
    terminal.type("half a secr\x03")
    assert terminal.end() != 0, terminal.shown
    assert not has_some(two)


@case
def a39_a_change_while_services_die_is_done_whole_or_not_at_all(_one, two):
    add_secret(two, "cb1", "secret-0")
    for n in range(1, 7):
        command = subprocess.Popen(
            [os.path.join(BIN, "xmpp"), "-C", two.dir, "callbridge", "add-secret", "cb1"], text=True,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        command.stdin.write(f"secret-{n}\n")
        command.stdin.close()
        time.sleep(0.012 * n)
        two.kill(("router", "datastore")[n % 2])
        out = command.stdout.read()
        code = command.wait()
        two.wait_ready()
        have = bridges(two)
        assert [b["Callbridge"] for b in have] == ["cb1"], have
        if code == 0:
            assert have[0]["Secret"] == f"secret-{n}", (n, have, out)
        else:
            assert have[0]["Secret"] in (f"secret-{n - 1}", f"secret-{n}"), (n, have, out)
            add_secret(two, "cb1", f"secret-{n}")
        Component(two, "cb1.localhost", f"secret-{n}").close()
    clear(two)


@case
def a39_two_bridges_with_one_secret_are_warned_about(_one, two):
    add_secret(two, "cb1", GUIDES)
    done = add_secret(two, "cb2", GUIDES)
    assert "warning: cb2 and cb1 have the same secret" in done.stdout, done.stdout
    clear(two)


@case
def a44_a_name_with_a_domain_part_is_refused(one, _two):
    for name in ("cb1@x", "cb1.localhost", "cb1/x", "cb1@localhost", "c b", "", "x" * 64):
        for command in (("callbridge", "add"), ("callbridge", "add-secret"), ("component", "add")):
            done = one.run("xmpp", *command, name, stdin="secret\n", check=False)
            assert done.returncode == 2 and "without a domain part" in done.stdout, \
                (name, done.stdout)
    assert not has_some(one)


def compare(rh, other, *options):
    """`xmpp callbridge compare` with what the other node lists."""
    name = os.path.join(os.path.dirname(rh.dir), "node2.txt")
    with open(name, "w", encoding="utf-8") as f:
        f.write(other.run("xmpp", "callbridge", "list", "--fingerprints", *options).stdout)
    done = rh.run("xmpp", "callbridge", "compare", name, *options, check=False)
    return done.returncode, done.stdout.replace(name, "node2")


@case
def a66_comparing_lists_names_the_bridge_the_node_and_whose_secret_it_has(one, two):
    secrets = {"cb1": GUIDES, "cb2": "uBiLLdIU8vVqj86CAb1", "cb3": "RJTmSh4smhLYguGpAb1"}
    for name, secret in secrets.items():
        add_secret(one, name, secret)
    for name, secret in reversed(secrets.items()):
        add_secret(two, name, secret)
    code, out = compare(one, two)
    assert (code, out) == (0, "SUCCESS: 3 call bridges, the same on this node and node2\n")
    # The mistake of the guides: cb1 on node 1 has cb3's secret.
    add_secret(one, "cb1", secrets["cb3"])
    code, out = compare(one, two)
    assert code == 1 and "FAILURE: cb1 on this node has the secret of cb3\n" in out, out
    code, out = compare(two, one)
    assert code == 1 and "FAILURE: cb1 on node2 has the secret of cb3\n" in out, out
    assert "cb2" not in out and "FAILURE: cb3" not in out, out
    code, out = compare(two, one, "--json")
    assert code == 1 and [json.loads(line)["callbridge"] for line in out.splitlines()] == ["cb1"]
    add_secret(one, "cb1", "some-other-secret")
    code, out = compare(one, two)
    assert code == 1 and "FAILURE: cb1 on node2 has another secret than on this node\n" in out, out
    one.run("xmpp", "callbridge", "del", "cb1")
    code, out = compare(one, two)
    assert code == 1 and "FAILURE: cb1 on this node is missing\n" in out, out
    add_secret(one, "cb1", secrets["cb1"])
    assert compare(one, two)[0] == 0
    # What travels between the nodes has no secret in it.
    listed = one.run("xmpp", "callbridge", "list", "--fingerprints").stdout
    assert not any(secret in listed for secret in secrets.values()), listed


@case
def a66_the_bridge_with_the_wrong_secret_is_the_one_that_cannot_connect(one, two):
    right = {b["Callbridge"]: b["Secret"] for b in bridges(one)}
    add_secret(two, "cb1", right["cb3"])
    Component(one, "cb1.localhost", right["cb1"]).close()
    Component(two, "cb2.localhost", right["cb2"]).close()
    try:
        Component(two, "cb1.localhost", right["cb1"])
        raise AssertionError("node 2 took a secret that it does not have")
    except Refused as e:
        assert e.condition == "not-authorized", e
    assert "FAILURE: cb1 on node2 has the secret of cb3\n" in compare(one, two)[1]
    add_secret(two, "cb1", right["cb1"])
    Component(two, "cb1.localhost", right["cb1"]).close()
    clear(one)
    clear(two)


def main():
    one, two = Instance(start=False), Instance(start=False)
    listen_for_components(one, "127.0.0.2")
    listen_for_components(two, "127.0.0.3", one.component_port)
    for rh in (one, two):
        rh.start()
        rh.add_user(*JULIET)
    try:
        return run_cases(one, two)
    finally:
        one.cleanup()
        two.cleanup()


if __name__ == "__main__":
    sys.exit(main())
