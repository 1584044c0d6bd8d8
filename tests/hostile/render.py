#!/usr/bin/env python3
"""Renders charts made to exhaust the renderer, and prints what each of them took.

usage: render.py PROGRAM [NAME]…

PROGRAM is `replicator`, or whatever takes `template NAME FOLDER`. A case passes when the program ends
within 2 s of processor time and 256 MiB, with exit code 0 or an error that names what the case expects:
mostly the template and the line.
"""
import os
import pathlib
import resource
import subprocess
import sys
import tempfile

SECONDS, MEBIBYTES = 2.0, 256
# A case that takes longer is ended.
MAX_SECONDS = 6
T = "bomb/templates/t.yaml"
ANY = ""


def chart(template="", values="", helpers="", **files):
    files = {"values.yaml": values, "templates/t.yaml": template, "templates/_h.tpl": helpers, **files}
    return {"Chart.yaml": "apiVersion: v2\nname: bomb\nversion: 1.0.0\n", **files}


def template(text, expect=T, values="", helpers=""):
    return chart(text, values, helpers), expect


def grows(start, step, times=60):
    return template("{{ $x := %s }}\n{{ range until %d }}{{ $x = %s }}{{ end }}{{ $x }}" % (start, times, step), T + ":2")


def schema(text, values="a: 1\n", expect=ANY):
    return chart("a: 1", values, **{"values.schema.json": text}), expect


def define(name, body):
    return '{{ define "%s" }}%s{{ end }}' % (name, body)


def aliases(levels=30):
    lines = ["a0: &a0 [x, x]"]
    lines += ["a%d: &a%d [*a%d, *a%d]" % (n, n, n - 1, n - 1) for n in range(1, levels)]
    return "\n".join(lines) + "\n"


def chain(length, call):
    steps = [define("c%d" % n, call % (n + 1)) for n in range(length)]
    return "\n".join(steps) + define("c%d" % length, "end")


DEEP_SCHEMA = '{"properties": {"a": ' * 3000 + "{}" + "}}" * 3000
REFS = '{"$ref": "#/$defs/d0", "$defs": {%s, "d20000": {}}}' % ", ".join(
    '"d%d": {"$ref": "#/$defs/d%d"}' % (n, n + 1) for n in range(20000))
ANY_OF = '{"$ref": "#/$defs/d0", "$defs": {%s, "d40": {"type": "string"}}}' % ", ".join(
    '"d%d": {"anyOf": [{"$ref": "#/$defs/d%d"}, {"$ref": "#/$defs/d%d"}]}' % (n, n + 1, n + 1) for n in range(40))
UNIQUE = '{"properties": {"a": {"uniqueItems": true}}}'
CASES = {
    # Loops
    "range over an int": template("\n{{ range 9000000000000 }}{{ end }}", T + ":2"),
    "until of a huge value": template("{{ range until (int .Values.count) }}{{ end }}", T + ":1", "count: 9000000000000\n"),
    "loops in loops": template("{{ range 100000 }}{{ range 100000 }}{{ $x := . }}{{ end }}{{ end }}", T + ":1"),
    "loops that call functions": template('{{ range 100000000 }}{{ $x := upper "a" | lower | quote }}{{ end }}', T + ":1"),
    "loops that print": template("{{ range 1000000000 }}{{ $.Chart.Name }}{{ end }}", T + ":1"),
    "loops over a map of maps": template("{{ range 1000000 }}{{ $x := deepCopy $.Values }}{{ end }}", T + ":1", "a: {b: {c: {d: [1, 2, 3]}}}\n"),
    "until": template("{{ until 123456789012 }}", T + ":1"),
    "seq": template("{{ seq 1 123456789012 }}", T + ":1"),
    "a list for each step": template("{{ range 100000 }}{{ $x := until 10000 }}{{ end }}", T + ":1"),
    "a list that is appended to": template("{{ $x := list }}{{ range 100000 }}{{ $x = append $x . }}{{ end }}", T + ":1"),
    "a list that is sorted": template("{{ $x := until 100000 }}{{ range 1000 }}{{ $y := sortAlpha $x }}{{ end }}", T + ":1"),
    "uniq of a long list": template("{{ uniq (until 100000) | len }}", T + ":1"),
    "without of a long list": template("{{ $x := until 20000 }}{{ range 1000 }}{{ $y := without $x -1 -2 -3 -4 -5 -6 }}{{ end }}", T + ":1"),
    "has in a long list": template("{{ $x := until 100000 }}{{ range 100000 }}{{ $y := has -1 $x }}{{ end }}", T + ":1"),
    "hashes": template('{{ $x := repeat 1000000 "a" }}{{ range 100000 }}{{ $y := sha256sum $x }}{{ end }}', T + ":1"),
    "keys": template('{{ range 10000 }}{{ $y := genPrivateKey "rsa" }}{{ end }}', ANY),
    "certificates": template('{{ range 10000 }}{{ $y := genCA "a" 365 }}{{ end }}', ANY),
    "bcrypt": template('{{ range 100000 }}{{ $y := htpasswd "a" "b" }}{{ end }}', ANY),
    "derived passwords": template('{{ range 1000 }}{{ $y := derivePassword 1 "long" "a" "b" "c" }}{{ end }}', T + ":1"),
    "random text": template("{{ range 100000 }}{{ $y := randAlphaNum 100000 }}{{ end }}", T + ":1"),
    # Recursion
    "include of itself": template('{{ include "a" . }}', T + ":1", helpers=define("a", '{{ include "a" . }}')),
    "template of itself": template('{{ template "a" . }}', "bomb/templates/_h.tpl:1", helpers=define("a", '{{ template "a" . }}')),
    "tpl of itself": template("{{ tpl .Values.t . }}", T, "t: '{{ tpl .Values.t . }}'\n"),
    "tpl of growing texts": template("{{ tpl .Values.t . }}", T, "t: 'x{{ $_ := set .Values \"t\" (print .Values.t .Values.t) }}{{ tpl .Values.t . }}'\n"),
    "tpl of many texts": template('{{ range 1000000 }}{{ $x := tpl (printf "%d{{ . }}" .) . }}{{ end }}', T + ":1"),
    "include chain of 1000": template('{{ include "c0" . }}', "", helpers=chain(1000, '{{ include "c%d" . }}')),
    "include chain of 5000": template('{{ include "c0" . }}', "bomb/templates/_h.tpl:", helpers=chain(5000, '{{ include "c%d" . }}')),
    "include chain in parentheses": template('{{ include "c0" . }}', "bomb/templates/_h.tpl:", helpers=chain(3000, "{{ if " + "(" * 40 + 'include "c%d" .' + ")" * 40 + " }}{{ end }}")),
    "include tree": template('{{ include "c0" . }}', ANY, helpers=chain(60, '{{ include "c%d" . }}{{ template "c59" . }}')),
    "fork bomb": template('{{ include "f" 60 }}', T, helpers=define("f", '{{ if gt . 0 }}{{ include "f" (sub . 1) }}{{ include "f" (sub . 1) }}{{ end }}')),
    "nested control structures": template("{{ if 1 }}" * 50000 + "{{ end }}" * 50000, T),
    "nested parentheses": template("{{ " + "(" * 50000 + "1" + ")" * 50000 + " }}", T),
    "a long pipeline": template("{{ 1" + " | print" * 100000 + " }}", ANY),
    "many arguments": template("{{ len (list" + " 1" * 300000 + ") }}", ANY),
    "many variables": template("{{ $x := 1 }}" * 50000 + "{{ range 10000 }}{{ $x }}{{ end }}", ANY),
    "many definitions": template('{{ include "c0" . }}', ANY, helpers="".join(define("c%d" % n, "x") for n in range(100000))),
    # Growth
    "repeat": template('{{ repeat 123456789012 "ab" }}', T + ":1"),
    "repeat of repeat": grows('"ab"', "repeat 9 $x"),
    "indent": template('{{ indent 123456789012 "a" }}', T + ":1"),
    "nindent": template('{{ nindent 12345678901 "a" }}', T + ":1"),
    "indent of many lines": template('{{ repeat 200000 "\\n" | indent 10000 }}', T + ":1"),
    "indent again and again": grows('"a\\n"', "indent 5000 (cat $x $x)"),
    "print": grows('"ab"', "print $x $x"),
    "printf": grows('"ab"', 'printf "%s%s%s" $x $x $x'),
    "printf of widths": template('{{ printf "%999999d%999999d%999999d" 1 1 1 }}{{ range 1000000 }}{{ printf "%999999d" 1 }}{{ end }}', T + ":1"),
    "printf of a star": template('{{ range 1000000 }}{{ printf "%*d" 999999 1 }}{{ end }}', T + ":1"),
    "quote": grows('"\\""', "quote $x $x"),
    "squote": grows('"a"', "squote $x $x"),
    "toJson of text": grows('"\\""', "toJson (toJson $x)"),
    "toJson of lists": grows("list 1", "list $x $x (toJson $x)"),
    "toYaml of shared lists": template("{{ $x := list 1 }}{{ range until 60 }}{{ $x = list $x $x }}{{ end }}{{ toYaml $x }}", T + ":1"),
    "toToml of shared maps": template('{{ $x := dict }}{{ range until 60 }}{{ $x = dict "a" $x "b" $x }}{{ end }}{{ toToml $x }}', T + ":1"),
    "toPrettyJson of depth": template('{{ $x := list 1 }}{{ range until 3000 }}{{ $x = list $x }}{{ end }}{{ toPrettyJson $x }}', T + ":1"),
    "deepCopy of shared maps": template('{{ $x := dict }}{{ range until 60 }}{{ $x = dict "a" $x "b" $x }}{{ end }}{{ $y := deepCopy $x }}', T + ":1"),
    "deepEqual of shared maps": template('{{ $x := dict }}{{ $y := dict }}{{ range until 60 }}{{ $x = dict "a" $x "b" $x }}{{ $y = dict "a" $y "b" $y }}{{ end }}{{ deepEqual $x $y }}', T + ":1"),
    "merge of shared maps": template('{{ $x := dict }}{{ $y := dict }}{{ range until 60 }}{{ $x = dict "a" $x "b" $x }}{{ $y = dict "a" $y "b" $y }}{{ end }}{{ $z := merge $x $y }}', T + ":1"),
    "dict": template('{{ $d := dict }}{{ range 10000000 }}{{ $_ := set $d (print .) (dict "a" $d) }}{{ end }}', T + ":1"),
    "replace": grows('"ab"', 'replace "a" $x $x'),
    "replace of nothing": grows('"ab"', 'replace "" $x $x'),
    "join": grows('"ab"', "join $x (list $x $x $x)"),
    "wrapWith": template('{{ $x := repeat 100000 "a " }}{{ wrapWith 1 $x $x }}', T + ":1"),
    "split": template('{{ $x := repeat 1000000 "a," }}{{ range 1000 }}{{ $y := splitList "," $x }}{{ end }}', T + ":1"),
    "b64enc": grows('"ab"', "b64enc (b64enc $x)", 200),
    "html": grows('"&"', "html (print $x $x)"),
    "snakecase": template('{{ $x := repeat 1000000 "aB" }}{{ range 1000 }}{{ $y := snakecase $x }}{{ end }}', T + ":1"),
    "toDecimal": template('{{ range 1000 }}{{ $x := toDecimal (repeat 1000000 "7") }}{{ end }}', ANY),
    "mul of decimals": template('{{ range 1000000 }}{{ $x := mulf 1.5 2.5 3.5 4.5 }}{{ $y := divf 1 3 }}{{ end }}', ANY),
    "round": template("{{ range 10000 }}{{ $x := round 1.5 1000000 }}{{ end }}", ANY),
    # Regular expressions
    "a regular expression of repetitions": template('{{ regexMatch "((((a{100}){100}){100}){100})" "a" }}', ANY),
    "a regular expression of classes": template('{{ regexMatch "(\\\\pL{1000}){1}" "a" }}', T + ":1"),
    "a regular expression of groups": template('{{ regexMatch (repeat 100000 "(") "a" }}', ANY),
    "nested groups": template('{{ regexMatch (print (repeat 900 "(") "a" (repeat 900 ")*")) "aaaa" }}', ANY),
    "many regular expressions": template('{{ range until 100000 }}{{ $x := regexMatch (printf "a%d[a-z]{900}" .) "a" }}{{ end }}', T + ":1"),
    "matches without end": template('{{ $s := repeat 300000 "a" }}{{ regexReplaceAll "a*b|a" $s "" }}', T + ":1"),
    "backtracking": template('{{ regexMatch "(a|aa)*(a|aa)*(a|aa)*$" (print (repeat 300000 "a") "!") }}', ANY),
    "a long alternation": template('{{ regexMatch (repeat 100000 "abc|") "x" }}', ANY),
    "regexFindAll": template('{{ range 1000 }}{{ $x := regexFindAll "a" (repeat 100000 "a") -1 }}{{ end }}', T + ":1"),
    "regexReplaceAll": grows('"ab"', 'regexReplaceAll "a|b" $x "$0$0$0$0"'),
    "regexSplit": template('{{ range 1000 }}{{ $x := regexSplit "" (repeat 100000 "a") -1 }}{{ end }}', T + ":1"),
    "semver constraints": template('{{ semverCompare (repeat 100000 ">1 || ") "1.0.0" }}', ANY),
    "globs": template('{{ range 100000 }}{{ $x := $.Files.Glob "%s" }}{{ end }}' % ("{a,b,c}*" * 200), T + ":1"),
    "a glob of stars": (chart('{{ len (.Files.Glob "%sb") }}' % ("a*" * 500), **{"f/" + "a" * 200: "x", **{"a" * 100 + str(n): "x" for n in range(300)}}), ANY),
    "a glob of braces": template('{{ $x := .Files.Glob "%s" }}' % ("{" * 3000 + "a" + "}" * 3000), ANY),
    "lines of a large file": (chart('{{ range 100000 }}{{ $x := $.Files.Lines "f" }}{{ end }}', f="a\n" * 1000000), T + ":1"),
    "a large file": (chart('{{ range 1000 }}{{ $.Files.Get "f" }}{{ end }}', f="a" * 4000000), T + ":1"),
    "secrets of large files": (chart('{{ range 1000 }}{{ $x := ($.Files.Glob "*").AsSecrets }}{{ end }}', f="a" * 4000000), T + ":1"),
    "dates": template('{{ range 1000000 }}{{ $x := now | date (repeat 10000 "2006") }}{{ end }}', T + ":1"),
    # Circles
    "a circle printed": template('{{ $_ := set . "x" . }}{{ print . }}', T + ":1"),
    "a circle as YAML": template('{{ $_ := set .Values "x" .Values }}a: {{ toYaml .Values }}', ANY),
    "a circle as TOML": template('{{ $_ := set .Values "x" .Values }}{{ toToml .Values }}', T + ":1"),
    "a circle copied": template('{{ $_ := set .Values "x" .Values }}{{ $x := deepCopy .Values }}', T + ":1"),
    "circles compared": template('{{ $d := dict }}{{ $_ := set $d "d" $d }}{{ $e := dict }}{{ $_ := set $e "d" $e }}{{ eq (deepEqual $d $e) true }}', T + ":1"),
    "circles merged": template('{{ $d := dict }}{{ $_ := set $d "d" $d }}{{ $e := dict }}{{ $_ := set $e "d" $e }}{{ $x := merge $d $e }}', T + ":1"),
    "a circle of lists": template('{{ $d := dict }}{{ $_ := set $d "d" (list $d $d) }}{{ toPrettyJson $d }}{{ $d }}', T + ":1"),
    "many circles": template('{{ range 10000000 }}{{ $d := dict }}{{ $_ := set $d "d" $d }}{{ end }}', T + ":1"),
    # YAML
    "deep YAML in values": (chart("a: 1", "[" * 100000), "values.yaml"),
    "deep mappings in values": (chart("a: 1", "".join(" " * n + "a:\n" for n in range(2000))), "values.yaml"),
    "deep YAML printed": template('a: {{ repeat 100000 "[" }}', "bomb/templates/t.yaml"),
    "deep YAML read": template('{{ $x := fromYaml (print "a: " (repeat 100000 "[")) }}{{ $x.Error | quote }}', ANY),
    "deep JSON read": template('{{ $x := fromJson (repeat 100000 "[") }}', ANY),
    "aliases in values": (chart("a: {{ toJson .Values | len }}", aliases()), "values.yaml"),
    "aliases printed": template(aliases(), T),
    "aliases read": template('{{ $x := fromYaml .Values.t }}{{ len (toJson $x) }}', ANY, "t: |\n" + "".join("  %s\n" % line for line in aliases().splitlines())),
    "merge keys": (chart("a: 1", "".join("m%d: &m%d {%s: {a: 1}, a%d: 1}\n" % (n, n, "<<: *m%d" % (n - 1) if n else "b", n) for n in range(2000)).replace(": {a: 1}, ", ", ")), ANY),
    "many keys": (chart("a: {{ len .Values }}", "".join("k%d: 1\n" % n for n in range(400000))), ANY),
    "many keys that are the same": (chart("a: {{ len .Values }}", "k: 1\n" * 400000), ANY),
    "a large text": template("a: {{ .Values.t | quote }}", ANY, "t: " + "x" * 4000000 + "\n"),
    "large values as YAML": template("{{ range 1000 }}{{ $x := toYaml $.Values }}{{ end }}", T + ":1", "".join("k%d: {a: [1, b]}\n" % n for n in range(20000))),
    "large values read again": template("{{ $t := toYaml .Values }}{{ range 1000 }}{{ $x := fromYaml $t }}{{ end }}", T + ":1", "".join("k%d: {a: [1, b]}\n" % n for n in range(20000))),
    "many manifests": template("{{ range 3000000 }}\n---\na: 1{{ end }}", ANY),
    "manifests of many kinds": template("{{ range 200000 }}\n---\nkind: K{{ . }}\n{{ end }}", ANY),
    "separators": template('{{ repeat 10000000 "\\n---" }}', ANY),
    "dashes": template('{{ repeat 10000000 "-" }}', ANY),
    "a long document": template("a:\n{{ range 2000000 }}- b\n{{ end }}", ANY),
    "a long line": template('a: "{{ repeat 50000000 "b" }}"', ANY),
    "many anchors printed": template("{{ range $i := until 100000 }}\na{{ $i }}: &a{{ $i }} 1\n{{ end }}", ANY),
    # Schemas
    "a deep schema": schema(DEEP_SCHEMA),
    "references to references": schema(REFS),
    "a reference to itself": schema('{"$ref": "#"}'),
    "anyOf of anyOf": schema(ANY_OF),
    "a pattern of repetitions": schema('{"properties": {"a": {"pattern": "((((a{100}){100}){100}){100})"}}}', "a: b\n"),
    "a long pattern": schema('{"properties": {"a": {"pattern": "%s"}}}' % ("(a|b)*" * 100000), "a: b\n"),
    "many patterns": schema('{"properties": {%s}}' % ", ".join('"k%d": {"pattern": "[a-z]{900}x%d"}' % (n, n) for n in range(3000)), "a: b\n"),
    "unique items": schema(UNIQUE, "a: [%s]\n" % ", ".join("{k: %d}" % n for n in range(30000)), ANY),
    "many problems": schema('{"additionalProperties": {"type": "string"}}', "".join("k%d: 1\n" % n for n in range(100000))),
    "multipleOf": schema('{"properties": {"a": {"multipleOf": 1e-300}}}', "a: 1e300\n"),
    "a huge number": schema('{"properties": {"a": {"maximum": 1e999999999}}}'),
    "a remote schema": schema('{"$ref": "https://example.com/schema.json"}', expect="schema"),
}


def write(folder, files):
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


def run(program, folder):
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        child = subprocess.Popen([program, "template", "x", str(folder)], stdout=out, stderr=err,
                                 preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_CPU, (MAX_SECONDS, MAX_SECONDS)))
        _, status, used = os.wait4(child.pid, 0)
        err.seek(0)
        return os.waitstatus_to_exitcode(status), used, err.read().decode(errors="replace")


def main():
    program, *names = sys.argv[1:]
    bad = 0
    print(f"{'case':38} {'exit':>4} {'CPU s':>6} {'MiB':>5}  error")
    for name, (files, expect) in CASES.items():
        if names and not any(part in name for part in names):
            continue
        with tempfile.TemporaryDirectory() as folder:
            write(pathlib.Path(folder), files)
            code, used, error = run(program, folder)
        seconds, memory = used.ru_utime + used.ru_stime, used.ru_maxrss / 1024
        wrong = []
        if seconds > SECONDS:
            wrong.append("too slow")
        if memory > MEBIBYTES:
            wrong.append("too large")
        if code < 0 or code > 2 or "panicked" in error:
            wrong.append("crashed")
        if code != 0 and expect not in error:
            wrong.append(f"does not name {expect}")
        if code == 0 and ":" in expect:
            wrong.append("no error")
        bad += bool(wrong)
        text = " ".join(error.split())
        text = text if len(text) <= 170 else text[:110] + " … " + text[-57:]
        print(f"{name:38} {code:4} {seconds:6.2f} {memory:5.0f}  {'**' + ', '.join(wrong) + '** ' if wrong else ''}{text}", flush=True)
    print(f"{bad} cases fail")
    sys.exit(bad != 0)


if __name__ == "__main__":
    main()
