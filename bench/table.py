"""From the raw runs to medians, tables, and the goals."""

from statistics import median

OURS = ("ours", "ours, with referrers", "ours, locked")
PEERS = ("crane", "ocync", "oras", "regctl", "regsync", "skopeo")
TITLES = {
    "cold": "cold: the target is empty",
    "warm": "warm: nothing to do",
    "changed": "5 % changed: the target has yesterday's images",
    "big": "one big layer",
    "small": "many small artifacts",
}
ASKS = ("HEAD manifest", "GET manifest", "HEAD blob", "GET blob")
WRITES = ("mount", "POST upload", "PATCH upload", "PUT upload", "PUT manifest")


def medians(runs):
    """{(link, scenario): {tool: figures}}; a tool that failed once has failed."""
    groups = {}
    for run in runs:
        groups.setdefault((run["link"], run["scenario"]), {}).setdefault(run["tool"], []).append(run)
    table = {}
    for key, tools in groups.items():
        table[key] = {}
        for tool, its in tools.items():
            figures = {"runs": len(its), "failed": next((r["failed"] for r in its if r["failed"]), None), "raw": its}
            for name in ("wall", "cpu", "rss", "disk", "servers cpu", "busy", "disk wait"):
                figures[name] = median(r[name] for r in its)
            figures["spread"] = min(r["wall"] for r in its), max(r["wall"] for r in its)
            for end in ("source", "target"):
                figures[f"{end} requests"] = median(r[end]["requests"] for r in its)
                figures[f"{end} kinds"] = {
                    kind: median(r[end]["kinds"].get(kind, 0) for r in its)
                    for kind in {k for r in its for k in r[end]["kinds"]}}
            figures["requests"] = median(r["source"]["requests"] + r["target"]["requests"] for r in its)
            figures["read"] = median(r["source"]["out"] + r["target"]["out"] for r in its)
            figures["written"] = median(r["target"]["in"] for r in its)
            for name in ("link share", "content share", "one upload"):
                if all(name in r for r in its):
                    figures[name] = median(r[name] for r in its)
            table[key][tool] = figures
    return table


def _least(tools, name):
    """The best peer's figure and its name."""
    peers = [(figures[name], tool) for tool, figures in tools.items() if tool not in OURS and not figures["failed"]]
    return min(peers, default=(None, None))


def _kinds(figures, names, end):
    known = figures[f"{end} kinds"]
    counts = "/".join(f"{known.get(name, 0):.0f}" for name in names)
    rest = sum(n for kind, n in known.items() if kind not in ASKS + WRITES)
    return counts + (f" +{rest:.0f}" if rest else "")


def markdown(table, contents, skipped):
    """One table for each scenario. `contents`: (link, scenario) to a sentence about what is copied. `skipped`: why
    a peer was not measured."""
    lines = []
    for (link, scenario), tools in table.items():
        shaped = any("link share" in figures for figures in tools.values())
        lines += [f"### {TITLES[scenario]}, {link} link", "", contents[link, scenario], ""]
        heads = ["tool", "runs", "wall s", "spread", "÷ ours", "CPU s", "servers' CPU s", "peak MiB", "on disk MB", "requests", "source H/G/h/g",
                 "target H/G/h/g", "target m/P/A/U/M", "read MB", "written MB"] + (["link used", "by content"] if shaped else [])
        lines += ["| " + " | ".join(heads) + " |", "|---|" + "---:|" * (len(heads) - 1)]
        ours = tools.get(OURS[0], {}).get("wall")
        for tool, f in sorted(tools.items(), key=lambda item: (item[0] not in OURS, item[1]["wall"])):
            if f["failed"]:
                lines.append(f"| {tool} | {f['runs']} | **failed**: {f['failed']} |" + " |" * (len(heads) - 3))
                continue
            cells = [tool, f["runs"], f"{f['wall']:.2f}", "–".join(f"{end:.2f}" for end in f["spread"]),
                     f"{f['wall'] / ours:.2f}" if ours else "", f"{f['cpu']:.2f}", f"{f['servers cpu']:.2f}",
                     f"{f['rss'] / 2**20:.0f}", f"{f['disk'] / 1e6:.1f}", f"{f['requests']:.0f}",
                     _kinds(f, ASKS, "source"), _kinds(f, ASKS, "target"),
                     "/".join(f"{f['target kinds'].get(k, 0):.0f}" for k in WRITES),
                     f"{f['read'] / 1e6:.1f}", f"{f['written'] / 1e6:.1f}"]
            if shaped:
                cells += [f"{f['link share']:.0%}", f"{f['content share']:.0%}"]
            lines.append("| " + " | ".join(map(str, cells)) + " |")
        for name, why in skipped.items():
            if name in PEERS:
                lines.append(f"| {name} | 0 | not measured: {why} |" + " |" * (len(heads) - 3))
        lines.append("")
    return "\n".join(lines)


# What is wanted of the time of each scenario, as a share of the best peer's.
WALL = {("plain", "cold"): 0.75, ("plain", "warm"): 0.8, ("plain", "changed"): 0.7, ("plain", "big"): 0.95,
        ("plain", "small"): 0.6, ("shaped", "warm"): 0.8, ("shaped", "changed"): 0.7, ("shaped", "big"): 0.95,
        ("shaped", "small"): 0.6}
CONTENT = 0.96


def goals(table, hash_rate, sizes):
    """(goal, wanted, figure, met, what was saturated) for each goal that this run can tell about. `sizes`: distinct
    bytes by (link, scenario). `hash_rate`: SHA-256 bytes per CPU second here."""
    result = []

    def say(goal, wanted, figure, met, key):
        ours = table[key].get(OURS[0])
        result.append((goal, wanted, figure, met, "" if met or not ours else saturated(ours)))

    for key, tools in table.items():
        name, ours = ", ".join(key), tools.get(OURS[0])
        if not ours:
            continue
        if ours["failed"]:
            say(name, "it ends well", ours["failed"], False, key)
            continue
        if key == ("shaped", "cold"):
            share = ours["content share"]
            say(f"{name}: content ÷ (wall × rate)", f"≥ {CONTENT:.0%}",
                f"{share:.1%} (the link carried {ours['link share']:.1%} of its rate)", share >= CONTENT, key)
        best, peer = _least(tools, "wall")
        if best and key in WALL:
            value = ours["wall"] / best
            say(f"{name}: wall", f"≤ {WALL[key]}", f"{value:.2f} ({ours['wall']:.2f} ÷ {best:.2f} of {peer})",
                value <= WALL[key], key)
        best, peer = _least(tools, "cpu")
        if best and key == ("plain", "cold"):
            say(f"{name}: CPU", "below all", f"{ours['cpu']:.2f} s ({best:.2f} of {peer})", ours["cpu"] < best, key)
        if best and key == ("plain", "big"):
            hashing = sizes[key] / hash_rate
            most = hashing + 1.2 * best
            say(f"{name}: CPU", f"≤ {most:.2f} s: hashing ({hashing:.2f}) + 1.2 × the leanest ({best:.2f}, {peer})",
                f"{ours['cpu']:.2f} s", ours["cpu"] <= most, key)
        best, peer = _least(tools, "requests")
        if best is not None:
            # Of what is there already a run has to ask once for each name and side.
            few = best if key[1] == "warm" else best - 1
            say(f"{name}: requests", f"≤ {few:.0f} ({best:.0f} of {peer})", f"{ours['requests']:.0f}",
                ours["requests"] <= few, key)
        locked = tools.get(OURS[2])
        if locked:
            sent = locked["source requests"]
            say(f"{name}, locked: requests to the source", "0", locked["failed"] or f"{sent:.0f}",
                not locked["failed"] and sent == 0, key)
    runs = [(figures, key, tool) for key, tools in table.items() for tool, figures in tools.items() if tool in OURS]
    if runs:
        most, key, tool = max(runs, key=lambda run: run[0]["rss"])
        say("peak memory, all scenarios", "≤ 64 MiB", f"{most['rss'] / 2**20:.1f} MiB ({', '.join(key)}, {tool})",
            most["rss"] <= 64 << 20, key)
        most, key, tool = max(runs, key=lambda run: run[0]["disk"])
        say("nothing staged on disk", "< 1 MB", f"{most['disk'] / 1e6:.2f} MB ({', '.join(key)}, {tool})",
            most["disk"] < 1e6, key)
    return result


def saturated(figures):
    """What a run waited for, as measured: the processors, which servers and tool share, the link, a disk, or, of a
    single blob, the one processor with which the target receives it."""
    shares = {"processors": figures["busy"], "disk": figures["disk wait"], "link": figures.get("link share", 0),
              "the target's one thread": figures.get("one upload", 0)}
    most = max(shares, key=shares.get)
    said = f"{most} {shares[most]:.0%}"
    if most == "processors":
        said += f" (tool {figures['cpu']:.2f} s, servers {figures['servers cpu']:.2f} s of CPU)"
    if shares[most] < 0.8:
        said = f"nothing: {said}"
    return said


def goals_markdown(found):
    lines = ["### Wanted", "", "| goal | wanted | measured | | saturated |", "|---|---|---|---|---|"]
    rows = [f"| {goal} | {wanted} | {figure} | {'met' if met else '**missed**'} | {full} |"
            for goal, wanted, figure, met, full in found]
    return "\n".join(lines + rows) + "\n"
