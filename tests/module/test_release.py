"""What `make bundle` and a release make: binaries, the bill of materials and the container image."""

import hashlib
import importlib.util
import json
import re
import shutil
import struct
import subprocess
import sys
import tarfile
import tempfile
import unittest
from pathlib import Path

MODULE = Path(__file__).resolve().parents[2]


def script(name):
    spec = importlib.util.spec_from_file_location(name, MODULE / f"scripts/{name}.py")
    loaded = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(loaded)
    return loaded


def elf(machine, segments):
    """A program's header, with segments of these types."""
    head = b"\x7fELF\x02\x01\x01" + bytes(9) + struct.pack("<HHIQQQIHHHHHH", 2, machine, 1, 0, 64, 0, 0, 64, 56, len(segments), 0, 0, 0)
    return head + b"".join(struct.pack("<I", kind) + bytes(52) for kind in segments)


class Image(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)
        (self.folder / "ca.pem").write_text("-----BEGIN CERTIFICATE-----\n")
        (self.folder / "amd64").write_bytes(elf(62, [1, 1]))
        (self.folder / "arm64").write_bytes(elf(183, [1]))
        (self.folder / "dynamic").write_bytes(elf(62, [6, 3, 1]))
        (self.folder / "short").write_bytes(elf(62, [1])[:-1])

    def make(self, name, *programs, certificates="ca.pem"):
        return subprocess.run(
            [sys.executable, MODULE / "scripts/image.py", "--version", "9.9.9", "--certificates", self.folder / certificates,
             *(f"--program={program.replace('=', f'={self.folder}/')}" for program in programs), self.folder / name],
            text=True, capture_output=True, check=False)

    def test_every_blob_is_what_its_descriptor_says_and_nothing_but_the_program_and_certificates_is_in_it(self):
        made = self.make("layout", "amd64=amd64", "arm64=arm64")
        self.assertEqual(made.returncode, 0, made.stderr)
        layout, seen = self.folder / "layout", set()

        def read(descriptor):
            content = (layout / "blobs" / descriptor["digest"].replace(":", "/")).read_bytes()
            seen.add(descriptor["digest"].removeprefix("sha256:"))
            self.assertEqual(len(content), descriptor["size"])
            self.assertEqual("sha256:" + hashlib.sha256(content).hexdigest(), descriptor["digest"])
            return content

        top, = json.loads((layout / "index.json").read_text())["manifests"]
        self.assertEqual(top["digest"], made.stdout.strip())
        platforms = []
        for entry in json.loads(read(top))["manifests"]:
            manifest = json.loads(read(entry))
            config = json.loads(read(manifest["config"]))
            layer, = manifest["layers"]
            read(layer)
            platforms.append(config["architecture"])
            self.assertEqual(config["architecture"], entry["platform"]["architecture"])
            self.assertEqual(config["config"]["Entrypoint"], ["/replicator"])
            with tarfile.open(layout / "blobs" / layer["digest"].replace(":", "/")) as archive:
                files = [(member.name, member.mode) for member in archive if member.isfile()]
            self.assertEqual(files, [("etc/ssl/certs/ca-certificates.crt", 0o644), ("replicator", 0o755)])
        self.assertEqual(platforms, ["amd64", "arm64"])
        self.assertEqual({path.name for path in (layout / "blobs/sha256").iterdir()}, seen)
        self.assertEqual(self.make("again", "amd64=amd64", "arm64=arm64").stdout, made.stdout)

    def test_what_would_not_run_in_it_is_refused(self):
        for name, program, reason in (("a", "amd64=dynamic", "dynamically linked"), ("b", "arm64=amd64", "machine"),
                                      ("c", "amd64=short", "cut short"), ("d", "amd64=ca.pem", "not a 64-bit"),
                                      ("e", "riscv64=amd64", "are known"), ("f", "amd64=missing", "No such file")):
            with self.subTest(program):
                made = self.make(name, program)
                self.assertNotEqual(made.returncode, 0)
                self.assertIn(reason, made.stderr)
                self.assertFalse((self.folder / name / "index.json").exists())
        self.assertIn("no certificate", self.make("g", "amd64=amd64", certificates="amd64").stderr)


class Bundle(unittest.TestCase):
    """scripts/dist.sh, with stand-ins for cargo and rustc."""

    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)
        self.tools, self.module = self.folder / "tools", self.folder / "module"
        for made in (self.tools, self.module / "bin", self.module / "scripts", self.folder / "lib"):
            made.mkdir(parents=True)
        shutil.copy(MODULE / "scripts/dist.sh", self.module / "scripts")
        shutil.copy(MODULE / "bin/SHA256SUMS", self.module / "bin")
        versions = dict(re.findall(r"(?m)^(zig|zigbuild)=(.*)$", (MODULE / "scripts/dist.sh").read_text()))
        (self.folder / f"cache/replicator-dist/zig-{versions['zig']}-{versions['zigbuild']}").mkdir(parents=True)
        (self.folder / f"cache/replicator-dist/zig-{versions['zig']}-{versions['zigbuild']}/complete").touch()
        # What a program for Linux is built to need.
        self.needs("GLIBC_2.2.5 GLIBC_2.17")
        self.tool("rustc", f"#!/bin/sh\necho {self.folder}/lib\n")
        self.tool("rustup", "#!/bin/sh\nexit 1\n")
        self.tool("cargo", f"""#!/bin/sh
            if [ "$1" = metadata ]; then echo '{{"target_directory": "{self.folder}/target"}}'; exit; fi
            echo "$@" >>"{self.folder}/cargo-arguments"
            for target; do :; done
            case $target in *-gnu.*) target=${{target%.*.*}} ;; esac
            mkdir -p "{self.folder}/target/$target/dist"
            cp "{self.folder}/program" "{self.folder}/target/$target/dist/replicator"
            """)
        (self.tools / "python3").symlink_to(sys.executable)
        for name in ("bash", "sh", "cat", "cp", "dirname", "grep", "sed", "sort", "tail", "tr", "uname", "install", "mv", "wc",
                     "mkdir", "sha256sum"):
            (self.tools / name).symlink_to(shutil.which(name))

    def needs(self, names):
        (self.folder / "program").write_text(f"#!/bin/sh\n# {names}\necho replicator 9.9.9\n")

    def tool(self, name, text):
        path = self.tools / name
        # It may be a link to the machine's own program, which must not be written to.
        path.unlink(missing_ok=True)
        path.write_text(text)
        path.chmod(0o755)

    def run_script(self, *names):
        return subprocess.run(["bash", self.module / "scripts/dist.sh", *names], text=True, capture_output=True, check=False,
                              env={"PATH": str(self.tools), "HOME": str(self.folder), "XDG_CACHE_HOME": f"{self.folder}/cache"})

    def sums(self):
        lines = (self.module / "bin/SHA256SUMS").read_text().splitlines()
        return [line for line in lines if not line.startswith("#")]

    def test_the_binary_and_its_sum_are_put_into_the_module(self):
        for again in range(2):
            self.needs(f"GLIBC_2.17 {again}")
            made = self.run_script("x86_64")
            self.assertEqual(made.returncode, 0, made.stderr)
            content = (self.module / "bin/replicator-linux-x86_64").read_bytes()
            self.assertEqual(content, (self.folder / "program").read_bytes())
            self.assertEqual(self.sums(), [f"{hashlib.sha256(content).hexdigest()}  replicator-linux-x86_64"])
        self.assertIn("--target x86_64-unknown-linux-gnu.2.17", (self.folder / "cargo-arguments").read_text())

    def test_it_works_with_what_macos_has(self):
        (self.tools / "sha256sum").unlink()
        self.tool("shasum", f"#!/bin/sh\nexec {shutil.which('sha256sum')}\n")
        self.tool("uname", "#!/bin/sh\n[ \"$1\" = -m ] && echo arm64 || echo Darwin\n")
        made = self.run_script("x86_64")
        self.assertEqual(made.returncode, 0, made.stderr)
        self.assertEqual(len(self.sums()), 1)

    def test_a_static_one_goes_beside_the_module_and_is_not_pinned(self):
        self.needs("")
        made = self.run_script("aarch64-static")
        self.assertEqual(made.returncode, 0, made.stderr)
        self.assertTrue((self.folder / "target/static/replicator-linux-aarch64").exists())
        self.assertEqual(self.sums(), [])
        self.assertIn("--target aarch64-unknown-linux-musl", (self.folder / "cargo-arguments").read_text())

    def test_what_cannot_be_shipped_is_refused(self):
        for needs, reason in (("GLIBC_2.18", "needs glibc 2.18"), ("", "names no version of glibc")):
            self.needs(needs)
            made = self.run_script("x86_64")
            self.assertNotEqual(made.returncode, 0)
            self.assertIn(reason, made.stderr)
            self.assertFalse((self.module / "bin/replicator-linux-x86_64").exists())
        self.assertIn("x86_64 and aarch64", self.run_script("riscv64").stderr)
        (self.folder / "lib").rmdir()
        self.assertIn("rustup target add", self.run_script("x86_64").stderr)
        (self.tools / "cargo").unlink()
        self.assertIn("cargo is missing", self.run_script("x86_64").stderr)


class Bill(unittest.TestCase):
    def test_it_holds_what_the_program_links_and_no_more(self):
        sum_of_b = "b" * 64

        def package(name, licence="MIT/Apache-2.0"):
            return {"id": name, "name": name, "version": "1.0.0", "license": licence}

        def depends(name, kind):
            return {"pkg": name, "dep_kinds": [{"kind": kind}]}

        metadata = {
            "packages": [package("dockerimage-replication"), package("a"), package("b", None), package("test"), package("tool")],
            "resolve": {"nodes": [
                {"id": "dockerimage-replication", "deps": [depends("a", None), depends("test", "dev"), depends("tool", "build")]},
                {"id": "a", "deps": [depends("b", None)]}, {"id": "b", "deps": [depends("a", None)]},
                {"id": "test", "deps": []}, {"id": "tool", "deps": []}]}}
        lock = f'[[package]]\nname = "b"\nversion = "1.0.0"\nsource = "registry"\nchecksum = "{sum_of_b}"\n'
        document = script("sbom").bill(metadata, lock)
        self.assertEqual([entry["name"] for entry in document["components"]], ["a", "b"])
        self.assertEqual(document["components"][0]["licenses"], [{"expression": "MIT OR Apache-2.0"}])
        self.assertEqual(document["components"][1]["hashes"], [{"alg": "SHA-256", "content": sum_of_b}])
        self.assertEqual(document["metadata"]["component"]["type"], "application")
        self.assertEqual(len(document["dependencies"]), 3)


class Workflows(unittest.TestCase):
    def test_every_action_is_pinned_by_commit_with_its_version_beside_it(self):
        found = 0
        for path in (MODULE / ".github/workflows").glob("*.yml"):
            for line in path.read_text().splitlines():
                if "uses:" in line:
                    found += 1
                    self.assertRegex(line, r"uses: [\w.-]+/[\w./-]+@[0-9a-f]{40} # v\d+(\.\d+)*$", path.name)
        self.assertGreater(found, 5)

    def test_the_version_has_a_section_in_the_changelog(self):
        version = re.search(r'^\[package\](?:\n(?!\[).*)*\nversion = "(.*)"', (MODULE / "Cargo.toml").read_text(), re.M)[1]
        self.assertRegex((MODULE / "CHANGELOG.md").read_text(), rf"(?m)^## \[{re.escape(version)}\] - \d{{4}}-\d\d-\d\d$")


if __name__ == "__main__":
    unittest.main()
