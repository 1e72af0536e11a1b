"""
tables - the results of bench/run for people: one after the other, and side by side.
"""
import os
import subprocess
import time

import detach

BESIDE = ("roundhouse", "relay")  # not what we are compared with


def about(servers, pinned):
    """What the figures depend on."""
    def first_line(*command):
        done = subprocess.run(command, check=False, text=True, stdout=subprocess.PIPE,
                              stderr=subprocess.DEVNULL, cwd=os.path.dirname(__file__) or ".")
        return done.stdout.splitlines()[0].strip() if done.stdout.strip() else ""
    with open("/proc/cpuinfo", encoding="utf-8") as f:
        models = [line.split(":", 1)[1].strip() for line in f if line.startswith("model name")]
    versions = {}
    for server in servers:
        package = getattr(server, "package", None)
        if package:
            versions[server.name] = first_line("dpkg-query", "-W", "-f=${Version}\n", package)
    changed = first_line("git", "status", "--porcelain", "--untracked-files=no")
    return {"date": time.strftime("%Y-%m-%d %H:%M"),
            "commit": first_line("git", "rev-parse", "--short", "HEAD")
                      + (" with changes" if changed else ""),
            "machine": f"{os.cpu_count()} x {models[0] if models else 'unknown processor'}",
            "pinned": pinned, "load_before": os.getloadavg()[0], "versions": versions}


def about_line(a):
    peers = ", ".join(f"{name} {version}" for name, version in a["versions"].items())
    return (f"{a['date']}, commit {a['commit']}, {a['machine']}, "
            f"{'server and generator on one core' if a['pinned'] else 'all cores'}; load average "
            f"{a['load_before']:.1f} before, {a.get('load_after', 0):.1f} after; "
            f"{a.get('minutes', 0):.0f} minutes" + (f"; {peers}" if peers else ""))


def cells(r):
    if r["failed"]:
        return ["not measured: " + r.get("why", "")]
    if r["load"] == "detach":
        row = []
    elif r["load"] == "idle":
        row = [f"{r['pss_each']:.0f} B PSS", f"{r['rss_each']:.0f} B RSS",
               f"CPU {r['cpu_us'] / 1e3 / r['seconds']:.2f} ms/s", ""]
    else:
        each = f"{r['cpu_us_each'] / 1e3:.3f} ms" if r["load"] == "login" else \
            f"{r['cpu_us_each']:.2f} us"
        row = [f"CPU {each}", f"{r['per_second']:.0f}/s", f"p50 {r['p50_us'] / 1e3:.2f} ms",
               f"p99 {r['p99_us'] / 1e3:.2f} ms"]
    if r["errors"]:
        row.append(f"{r['errors']} ERRORS: {r['why']}")
    return row


def details(r):
    """More lines: CPU by process, where the server has several; the ratio to another load."""
    if r["failed"]:
        return []
    if r["load"] == "detach":
        return detach.lines(r)
    text = []
    if len(r["processes"]) > 1:
        key, unit, scale = ("pss_each", "B", 1) if r["load"] == "idle" else ("cpu_us_each", "us", 1)
        text.append(", ".join(f"{p['name']} {p[key] / scale:.2f}" for p in r["processes"]
                              if p[key] >= 0.01) + f" {unit}")
    if "ratio" in r:
        text.append(f"CPU {r['ratio']:.2f} times that without (rounds: "
                    + ", ".join(f"{ratio:.2f}" for ratio in r["ratios"])
                    + f"; the cheapest of each: {r['ratio_least']:.2f})")
    if r.get("note"):
        text.append(r["note"])
    if r.get("retried"):
        text.append(f"{r['retried']} logins were refused and tried again")
    return text


def print_results(results):
    print(f"{'load':32} {'server':11} CPU and memory are the server's, all processes")
    for r in results:
        row = cells(r)
        print(f"{r['title']:32} {r['server']:11} " + " ".join(f"{c:>16}" for c in row))
        for line in details(r):
            print(f"{'':44}{line}" if r["load"] != "detach" else f"    {line}")


def figures(r):
    """What servers are compared by: (name, value, unit, digits) for each line; less is better."""
    if r["failed"] or r["errors"] or r["load"] == "detach":
        return []
    if r["load"] == "idle":
        return [("", r["pss_each"] / 1024, "KiB", 1)]
    if r["load"] in ("pingpong", "relay", "component") and r["pairs"] == 1:
        return [(", p50", r["p50_us"], "µs", 0), (", p99", r["p99_us"], "µs", 0)]
    if r["load"] == "login":
        return [("", r["cpu_us_each"] / 1000, "ms CPU", 2)]
    return [("", r["cpu_us_each"], "µs CPU", 2)]


def ratio_text(ratio):
    return f"{ratio:.1f}" if ratio >= 1 else f"{ratio:.2f}"


def side_by_side(results):
    """(servers, rows): a row is title, unit, aim, {server: text}, how much the best of the others
    needs of what we need, or ""."""
    servers = list(dict.fromkeys(r["server"] for r in results))
    rows = []
    for title in dict.fromkeys(r["title"] for r in results):
        same = [r for r in results if r["title"] == title]
        lines = {}
        for r in same:
            for name, value, unit, digits in figures(r):
                lines.setdefault((name, unit, digits), {})[r["server"]] = value
        aim = next((r["aim"] for r in same if r.get("aim")), "")
        for (name, unit, digits), values in lines.items():
            others = [v for server, v in values.items() if server not in BESIDE]
            ours = values.get("roundhouse", 0)
            rows.append((title + name, unit, aim,
                         {s: f"{v:.{digits}f}" for s, v in values.items()},
                         ratio_text(min(others) / ours) if others and ours > 0 else ""))
    return servers, rows


def print_comparison(results):
    servers, rows = side_by_side(results)
    if len(servers) < 2:
        return
    print(f"\n{'load':36} {'':7}{'aim':>6}" + "".join(f"{name:>11}" for name in servers)
          + f"{'best/ours':>11}")
    for title, unit, aim, values, ratio in rows:
        print(f"{title:36} {unit:7}{aim:>6}"
              + "".join(f"{values.get(name, '-'):>11}" for name in servers) + f"{ratio:>11}")


def print_markdown(about_these, results):
    servers, rows = side_by_side(results)
    print(f"\n{about_line(about_these)}.\n")
    print("| load | unit | aim | " + " | ".join(servers) + " | best of the others / ours |")
    print("|---|---|" + "---:|" * (len(servers) + 2))
    for title, unit, aim, values, ratio in rows:
        print(f"| {title} | {unit} | {aim} | "
              + " | ".join(values.get(name, "-") for name in servers) + f" | {ratio} |")
    refused = {}
    for r in results:
        if r.get("retried"):
            refused[r["server"]] = refused.get(r["server"], 0) + r["retried"]
    for r in results:
        if r.get("note"):
            print(f"\n{r['title']}: {r['note']}.")
    for name, count in refused.items():
        print(f"\n{name} refused {count} logins, which were tried again.")
    for what, left_out in (("Not measured", False), ("Left out, it takes too long (--long)", True)):
        names = [f"{r['server']}: {r['title']}" for r in results
                 if (r["failed"] or r["errors"]) and bool(r.get("left_out")) == left_out]
        if names:
            print(f"\n{what}: " + "; ".join(names) + ".")
