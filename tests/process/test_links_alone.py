#!/usr/bin/python3
"""Links and custody under kill -9 (issue "walking skeleton", slice 1).

A source numbers 1,000,000 messages, a sink takes them, the router is between: three real processes
on a real bus, no supervisor. 51 times, at even steps of the sink's progress, one of them (or two at
once) is killed with SIGKILL and started again. At the end: every number arrived, once, in order.

The journals of source and sink stand for durable memory. What a router's restart causes is
recognised by origin on the bus (phase "router": no repeat may even reach the sink's journal).
"""
import os, random, shutil, signal, struct, subprocess, sys, tempfile, time

BIN = os.environ.get("BIN") or os.path.join(os.path.dirname(__file__), "../../build/bin")
SLOW = 4 if os.environ.get("V") in ("asan", "tsan", "debug") else 1
COUNT = 1000000 // SLOW
SEED = int(os.environ.get("SEED", "0")) or random.randrange(1 << 30)
NAMES = ("router", "source.test", "sink.test")


class Bed:
    def __init__(self):
        self.dir = tempfile.mkdtemp(prefix="links")
        for d in ("conf", "run/bus", "log", "data"):
            os.makedirs(os.path.join(self.dir, d))
        with open(os.path.join(self.dir, "conf/roundhouse.conf"), "w") as f:
            f.write("router = { announce_wait = 20000; reconnect_grace = 60; };\n")
        self.procs = {}
        self.log = open(os.path.join(self.dir, "log/all"), "ab")

    def start(self, name):
        env = dict(os.environ, ECHO_COUNT=str(self.count))
        if name == "router":
            argv = [f"{BIN}/router", "-i", "router-1", "--token", "r",
                    "--expect", "source.test:echo:ta", "--expect", "sink.test:echo:tb"]
        else:
            env["ECHO_JOURNAL"] = os.path.join(self.dir, name)
            argv = [f"{BIN}/echo", "-i", name, "--token",
                    "ta" if name == "source.test" else "tb"]
        argv[1:1] = ["-C", self.dir, "--standalone"]
        self.procs[name] = subprocess.Popen(argv, env=env, stdout=self.log, stderr=self.log)

    def kill(self, name):
        p = self.procs.pop(name, None)
        if p:
            p.send_signal(signal.SIGKILL)
            p.wait()

    def journal(self, name):
        try:
            with open(os.path.join(self.dir, name), "rb") as f:
                return struct.unpack("<4Q", f.read(32))
        except (OSError, struct.error):
            return (0, 0, 0, 0)

    def crashed(self):
        for name, p in self.procs.items():
            if p.poll() is not None:
                return f"{name} ended by itself with {p.returncode}"
        return None

    def wait_for(self, number):
        """Until the sink has number; False when nothing moves for a long time."""
        last, still = -1, time.monotonic()
        while True:
            now = self.journal("sink.test")[0]
            if now >= number:
                return None
            if now != last:
                last, still = now, time.monotonic()
            if time.monotonic() - still > 60 * SLOW:
                return f"no progress at {now}"
            why = self.crashed()
            if why:
                return why
            time.sleep(0.002)

    def phase(self, name, first, count, kills, victims):
        self.count = first + count
        for n in NAMES:
            self.kill(n)
            self.start(n)
        for i in range(1, kills + 1):
            why = self.wait_for(first + count * i // (kills + 1))
            if why:
                return f"phase {name}, before kill {i}: {why}"
            for n in victims(i):
                self.kill(n)
                if random.random() < 0.3:
                    time.sleep(random.random() * 0.05)
            for n in NAMES:
                if n not in self.procs:
                    self.start(n)
        why = self.wait_for(first + count)
        if why:
            return f"phase {name}, after the kills: {why}"
        # the source learns of the last settlements a moment later
        end = time.monotonic() + 30 * SLOW
        while self.journal("source.test")[0] < first + count and time.monotonic() < end:
            time.sleep(0.01)
        last, repeats, gaps, _ = self.journal("sink.test")
        settled, _, _, bounced = self.journal("source.test")
        print(f"{name}: kills={kills} received={last} repeats_recognised_by_sink={repeats} "
              f"out_of_order={gaps} settled={settled} bounced={bounced}", flush=True)
        if (last, gaps, settled, bounced) != (first + count, 0, first + count, 0):
            return f"phase {name}: lost, overtaken, unsettled or bounced"
        return None

    def close(self):
        for n in list(self.procs):
            self.kill(n)


def main():
    random.seed(SEED)
    print(f"SEED={SEED} COUNT={COUNT}", flush=True)
    bed = Bed()
    why = None
    try:
        third = COUNT // 3
        why = bed.phase("router", 0, third, 20, lambda i: ["router"])
        if not why and bed.journal("sink.test")[1] != 0:
            why = "a router restart made the sink see a number twice"
        if not why:
            why = bed.phase("services", third, third, 16,
                            lambda i: ["sink.test" if i % 2 else "source.test"])
        if not why:
            why = bed.phase("all", 2 * third, COUNT - 2 * third, 15,
                            lambda i: random.sample(NAMES, random.choice((1, 1, 2))))
    finally:
        bed.close()
    if why:
        sys.stdout.flush()
        with open(os.path.join(bed.dir, "log/all"), errors="replace") as f:
            print("".join(f.readlines()[-40:]))
        print(f"FAILED: {why}; SEED={SEED}; kept: {bed.dir}")
        return 1
    shutil.rmtree(bed.dir)
    print("every number arrived once and in order")
    return 0


signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
sys.exit(main())
