"""From the raw runs to medians, tables, and the goals."""

from statistics import median

OURS = ("ours", "ours, with referrers")
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
            for name in ("wall", "cpu", "rss", "disk"):
                figures[name] = median(r[name] for r in its)
            for end in ("source", "target"):
                figures[f"{end} requests"] = median(r[end]["requests"] for r in its)
                figures[f"{end} kinds"] = {
                    kind: median(r[end]["kinds"].get(kind, 0) for r in its)
                    for kind in {k for r in its for k in r[end]["kinds"]}}
            figures["requests"] = median(r["source"]["requests"] + r["target"]["requests"] for r in its)
            figures["read"] = median(r["source"]["out"] + r["target"]["out"] for r in its)
            figures["written"] = median(r["target"]["in"] for r in its)
            for name in ("link share", "content share"):
                if name in its[0]:
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


def markdown(table, contents):
    """One table for each scenario. `contents`: (link, scenario) to a sentence about what is copied."""
    lines = []
    for (link, scenario), tools in table.items():
        shaped = any("link share" in figures for figures in tools.values())
        lines += [f"### {TITLES[scenario]}, {link} link", "", contents[link, scenario], ""]
        heads = ["tool", "runs", "wall s", "÷ ours", "CPU s", "peak MiB", "on disk MB", "requests", "source H/G/h/g",
                 "target H/G/h/g", "target m/P/A/U/M", "read MB", "written MB"] + (["link used", "by content"] if shaped else [])
        lines += ["| " + " | ".join(heads) + " |", "|---|" + "---:|" * (len(heads) - 1)]
        ours = tools.get(OURS[0], {}).get("wall")
        for tool, f in sorted(tools.items(), key=lambda item: (item[0] not in OURS, item[1]["wall"])):
            if f["failed"]:
                lines.append(f"| {tool} | {f['runs']} | **failed**: {f['failed']} |" + " |" * (len(heads) - 3))
                continue
            cells = [tool, f["runs"], f"{f['wall']:.2f}", f"{f['wall'] / ours:.2f}" if ours else "",
                     f"{f['cpu']:.2f}", f"{f['rss'] / 2**20:.0f}", f"{f['disk'] / 1e6:.1f}", f"{f['requests']:.0f}",
                     _kinds(f, ASKS, "source"), _kinds(f, ASKS, "target"),
                     "/".join(f"{f['target kinds'].get(k, 0):.0f}" for k in WRITES),
                     f"{f['read'] / 1e6:.1f}", f"{f['written'] / 1e6:.1f}"]
            if shaped:
                cells += [f"{f['link share']:.0%}", f"{f['content share']:.0%}"]
            lines.append("| " + " | ".join(map(str, cells)) + " |")
        lines.append("")
    return "\n".join(lines)


def goals(table, hash_rate, sizes):
    """(goal, limit, figure, met) for each goal that this run can tell about; `met` is None where it cannot.
    `sizes`: distinct bytes by (link, scenario). `hash_rate`: SHA-256 bytes per CPU second here."""
    result = []

    def say(goal, limit, figure, met):
        result.append((goal, limit, figure, met))

    def ratio(goal, key, name, limit):
        tools = table.get(key, {})
        best, peer = _least(tools, name)
        ours = tools.get(OURS[0])
        if ours is None or best is None or ours["failed"]:
            say(goal, f"≤ {limit}", "ours failed" if ours and ours["failed"] else "not measured",
                False if ours and ours["failed"] else None)
            return
        value = ours[name] / best
        say(goal, f"≤ {limit}", f"{value:.2f} ({ours[name]:.2f} ÷ {best:.2f} of {peer})", value <= limit)

    ours = table.get(("shaped", "cold"), {}).get(OURS[0])
    if ours and not ours["failed"]:
        share = ours["content share"]
        say("shaped, cold: content ÷ (wall × rate)", "≥ 95 %",
            f"{share:.1%} (the link carried {ours['link share']:.1%} of its rate)", share >= 0.95)
    else:
        say("shaped, cold: content ÷ (wall × rate)", "≥ 95 %", "not measured", None)
    ratio("shaped, small: wall", ("shaped", "small"), "wall", 0.6)
    ratio("plain, cold: wall", ("plain", "cold"), "wall", 0.8)
    ratio("plain, cold: CPU ÷ best that hashes", ("plain", "cold"), "cpu", 0.8)
    tools = table.get(("plain", "cold"), {})
    best, peer = _least(tools, "cpu")
    if best and OURS[0] in tools and not tools[OURS[0]]["failed"]:
        hashing = sizes["plain", "cold"] / hash_rate
        mine = tools[OURS[0]]["cpu"]
        say("plain, cold: CPU ≤ leanest + hashing", f"≤ {best + hashing:.2f} s",
            f"{mine:.2f} s ({best:.2f} of {peer}, {hashing:.2f} to hash)", mine <= best + hashing)
    for link in ("plain", "shaped"):
        ratio(f"{link}, warm: wall", (link, "warm"), "wall", 1.0)
    for key, tools in table.items():
        best, peer = _least(tools, "requests")
        ours = tools.get(OURS[0])
        if best is not None and ours:
            say(f"{key[0]}, {key[1]}: requests", f"< {best:.0f} of {peer}", f"{ours['requests']:.0f}" + (" (as many)" if ours["requests"] == best else ""),
                not ours["failed"] and ours["requests"] < best)
    peaks = [(f["rss"], key, tool) for key, tools in table.items() for tool, f in tools.items() if tool in OURS]
    if peaks:
        most, key, tool = max(peaks)
        say("peak memory, all scenarios", "≤ 64 MiB", f"{most / 2**20:.1f} MiB ({key[0]}, {key[1]}, {tool})", most <= 64 << 20)
    disk = [(f["disk"], key, tool) for key, tools in table.items() for tool, f in tools.items() if tool in OURS]
    if disk:
        most, key, tool = max(disk)
        say("nothing staged on disk", "< 1 MB", f"{most / 1e6:.2f} MB ({key[0]}, {key[1]})", most < 1e6)
    return result


def goals_markdown(found):
    words = {True: "met", False: "**missed**", None: "–"}
    lines = ["### Goals", "", "| this project ÷ best peer | limit | here | |", "|---|---|---|---|"]
    return "\n".join(lines + [f"| {g} | {limit} | {figure} | {words[met]} |" for g, limit, figure, met in found]) + "\n"
