#!/usr/bin/python3
"""Completion in bash and the man pages: every command and option of the programs' tables is in both,
and nothing else."""
import os
import re
import shutil
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../support"))
from roundhouse import BIN, case, run_cases

ROOT = os.path.abspath(os.path.join(os.path.dirname(os.path.abspath(__file__)), "../.."))
COMPLETION = os.path.join(ROOT, "packaging/completion/roundhouse.bash")
MAKE_MAN = os.path.join(ROOT, "packaging/man/make-man")
PROGRAMS = [p for p in ("xmpp", "pki", "dns", "callbridge", "supervisor")
            if os.path.exists(os.path.join(BIN, p))]


def table(program):
    """({words: operands}, [(option, operand, only)]) as the program tells."""
    out = subprocess.run([os.path.join(BIN, program), "--commands"], capture_output=True,
                         text=True, check=True).stdout
    rows = [line.split("\t") for line in out.splitlines()]
    return ({r[1]: r[2] for r in rows if r[0] == "command"},
            [tuple(r[1:4]) for r in rows if r[0] == "option"])


def complete(lines):
    """What bash offers at the end of each line: one process for all."""
    script = [f". {COMPLETION}"]
    for line in lines:
        words = line.split(" ")
        quoted = " ".join(f"'{w}'" for w in words)
        script.append(f"COMP_WORDS=({quoted}) COMP_CWORD={len(words) - 1} COMPREPLY=(); "
                      "_roundhouse; printf '%s ' \"${COMPREPLY[@]}\"; echo")
    done = subprocess.run(["bash", "--norc", "-c", "\n".join(script)], capture_output=True,
                          text=True, check=False, cwd=tempfile.gettempdir(),
                          env={"PATH": BIN + ":/usr/bin:/bin", "LC_ALL": "C"})
    assert done.returncode == 0 and not done.stderr, done.stderr
    return [line.split() for line in done.stdout.split("\n")[:-1]]


@case
def bash_completes_every_command_of_every_program(_):
    lines, wanted = [], []
    for program in PROGRAMS:
        for words in table(program)[0]:
            parts = words.split()
            for n, word in enumerate(parts):
                lines.append(" ".join([program] + parts[:n] + [""]))
                wanted.append(word)
                lines.append(" ".join([program] + parts[:n] + [word]))
                wanted.append(word)
    for line, word, offered in zip(lines, wanted, complete(lines)):
        assert word in offered, f"{line!r}: {offered}"


@case
def bash_completes_every_option_where_it_is_taken_and_nowhere_else(_):
    lines, checks = [], []
    for program in PROGRAMS:
        commands, options = table(program)
        for words in commands:
            lines.append(" ".join([program] + words.split() + ["-"]))
            taken = {o for o, _, only in options if not only or words in only.split("|")}
            checks.append(taken)
    for line, taken, offered in zip(lines, checks, complete(lines)):
        assert set(offered) == taken, f"{line!r}: {sorted(set(offered) ^ taken)}"


@case
def bash_completes_files_and_directories_where_they_stand(_):
    with tempfile.TemporaryDirectory() as d:
        os.mkdir(os.path.join(d, "inst"))
        with open(os.path.join(d, "insfile"), "w", encoding="ascii"):
            pass
        at = os.path.join(d, "ins")
        found = complete([f"xmpp -C {at}", f"xmpp log export {at}", f"xmpp user show {at}",
                          "xmpp -C x us", "xmpp log show -n "])
        assert found[0] == [at + "t"], found
        assert sorted(found[1]) == [at + "file", at + "t"], found
        assert found[2:] == [[], ["user"], []], found


@case
def bash_itself_takes_it(_):
    done = subprocess.run(["bash", "--norc", "-c", f". {COMPLETION}; complete -p"],
                          capture_output=True, text=True, check=True)
    for program in ("xmpp", "pki", "dns", "callbridge", "supervisor"):
        assert f"complete -F _roundhouse {program}\n" in done.stdout, done.stdout


def man_text(path):
    env = dict(os.environ, MANWIDTH="200", LC_ALL="C.UTF-8", MAN_KEEP_FORMATTING="")
    done = subprocess.run(["man", "--warnings", "-E", "UTF-8", "-l", path], capture_output=True,
                          text=True, check=False, env=env)
    assert done.returncode == 0 and not done.stderr, f"{path}: {done.stderr}"
    return re.sub(r".\x08", "", done.stdout)


@case
def man_pages_have_every_command_and_option_and_no_warnings(_):
    if not shutil.which("man"):
        print("skipped: no man")
        return
    with tempfile.TemporaryDirectory() as out:
        subprocess.run([sys.executable, MAKE_MAN, BIN, out], check=True)
        for program in PROGRAMS:
            text = man_text(os.path.join(out, program + ".1"))
            commands, options = table(program)
            for words, operands in commands.items():
                head = " ".join(w for w in (program, words, operands) if w)
                assert re.search(rf"^ +{re.escape(head)}$", text, re.M), f"{program}: {head!r}"
            for option, operand, _only in options:
                assert re.search(rf"(?<![\w-]){re.escape(option)}(?![\w-])", text), \
                    f"{program}: {option}"
        text = man_text(os.path.join(out, "roundhouse.conf.5"))
        keys = 0
        group = ""
        with open(os.path.join(ROOT, "conf/roundhouse.conf"), encoding="utf-8") as f:
            for line in f:
                if m := re.match(r"([\w-]+) = \{", line):
                    group = m.group(1) + "."
                elif m := re.match(r"\t(?:# )?(\w+) = .*;$", line):
                    keys += 1
                    assert f" {group}{m.group(1)}" in text, group + m.group(1)
        assert keys > 50, keys


if __name__ == "__main__":
    sys.exit(run_cases(None))
