"""scripts/get-replicator.sh: where it takes the program from, and what it refuses. Needs bash, curl and openssl."""

import base64
import contextlib
import hashlib
import http.server
import json
import os
import platform
import re
import shutil
import ssl
import subprocess
import sys
import tempfile
import threading
import time
import unittest
from pathlib import Path

MODULE = Path(__file__).resolve().parents[2]
BINARY = f"replicator-linux-{platform.machine()}"
PROGRAM = b"#!/bin/sh\necho replicator 9.9.9\n"
SUM = hashlib.sha256(PROGRAM).hexdigest()
# What a password may hold that means something to curl's configuration or to a shell.
PASSWORD = 'mark"ed\\ $ecret\'#'

# In the place of the AWS CLI, of cargo, and of rustup's installer, which brings cargo.
AWS = """#!/bin/sh
case "$1 $2" in
"secretsmanager get-secret-value") cat "$HOME/secret" ;;
"s3 cp") [ ! -e "$HOME/hangs" ] || exec sleep 30; cp "$HOME/object" "$5" ;;
*) exit 64 ;;
esac
"""
CARGO = """#!/bin/sh
echo "cargo $@" >>"$HOME/cargo-arguments"
case " $* " in *" build "*) ;; *) exit 0 ;; esac
mkdir -p "$CARGO_TARGET_DIR/release"
printf '#!/bin/sh\\necho replicator built\\n' >"$CARGO_TARGET_DIR/release/replicator"
"""
RUSTUP = f"""#!/bin/sh
echo "${{0##*/}} $@ from $RUSTUP_DIST_SERVER" >>"$HOME/rustup-arguments"
[ ! -e "$HOME/no-toolchain" ] || exit 1
mkdir -p "$HOME/.cargo/bin"
cat >"$HOME/.cargo/bin/cargo" <<'END'
{CARGO}END
chmod 755 "$HOME/.cargo/bin/cargo"
"""
# Writes down all arguments of curl, and runs it.
CURL = """#!/bin/sh
echo "$@" >>"$HOME/curl-arguments"
exec {curl} "$@"
"""


class Server(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        wanted = "Basic " + base64.b64encode(f"me:{PASSWORD}".encode()).decode()
        if self.path.startswith("/private/") and self.headers.get("Authorization") != wanted:
            self.send_error(401)
            return
        if "missing" in self.path:
            self.send_error(404)
            return
        self.send_response(200)
        self.end_headers()
        if "drip" in self.path:
            with contextlib.suppress(OSError):
                for _ in range(300):
                    self.wfile.write(b"#")
                    time.sleep(0.1)
            return
        self.wfile.write(RUSTUP.encode() if self.path.endswith("/rustup-init") else PROGRAM)

    def log_message(self, *_):
        pass


class GetReplicator(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.TemporaryDirectory()
        cls.addClassCleanup(cls.folder.cleanup)
        cls.certificate = f"{cls.folder.name}/certificate.pem"
        key = f"{cls.folder.name}/key.pem"
        subprocess.run(
            ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1", "-subj", "/CN=localhost",
             "-addext", "subjectAltName=DNS:localhost", "-keyout", key, "-out", cls.certificate],
            check=True, capture_output=True)
        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Server)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(cls.certificate, key)
        server.socket = context.wrap_socket(server.socket, server_side=True)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        cls.addClassCleanup(server.server_close)
        cls.addClassCleanup(server.shutdown)
        cls.url = f"https://localhost:{server.server_address[1]}"

    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.environment = {}
        self.home = Path(folder.name) / "home"
        self.module = Path(folder.name) / "module"
        self.tools = Path(folder.name) / "tools"
        for made in (self.home, self.module / "bin", self.module / "scripts", self.tools):
            made.mkdir(parents=True)
        self.copy_script(hashlib.sha256(RUSTUP.encode()).hexdigest())
        shutil.copy(MODULE / "rust-toolchain.toml", self.module)
        (self.module / "Cargo.toml").write_text('[package]\nname = "x"\nversion = "9.9.9"\n\n[lib]\nname = "y"\n')
        self.tool("aws", AWS)
        self.tool("curl", CURL.format(curl=shutil.which("curl")))
        (self.tools / "python3").symlink_to(sys.executable)
        self.tool("cc", "#!/bin/sh\n")
        # The script asks `uname`; these tests must not depend on which one the machine has.
        self.tool("uname", f"#!/bin/sh\n[ \"$1\" = -m ] && echo {platform.machine()} || echo Linux {platform.machine()}\n")
        for name in ("bash", "timeout", "sleep", "sha256sum", "sed", "mktemp", "mkdir", "rm", "mv", "cp", "chmod",
                     "dirname", "cat", "sh", "printenv"):
            (self.tools / name).symlink_to(shutil.which(name))

    def copy_script(self, rustup_sum, release_repository=""):
        """The script with the sum of a stand-in for rustup, and as a release changes it."""
        text = (MODULE / "scripts/get-replicator.sh").read_text()
        text, found = re.subn(r"(\[(?:x86_64|aarch64)\]=)[0-9a-f]{64}", rf"\g<1>{rustup_sum}", text)
        self.assertEqual(found, 2)
        text, found = re.subn(r"(?m)^release_repository=''$", f"release_repository='{release_repository}'", text)
        self.assertEqual(found, 1)
        (self.module / "scripts/get-replicator.sh").write_text(text)

    def tool(self, name, text):
        path = self.tools / name
        # It may be a link to the machine's own program, which must not be written to.
        path.unlink(missing_ok=True)
        path.write_text(text)
        path.chmod(0o755)

    def pin(self, value):
        (self.module / "bin/SHA256SUMS").write_text(f"# a remark\n{'0' * 64}  another\n{value}  {BINARY}\n")

    def bundle(self, program=PROGRAM):
        (self.module / "bin" / BINARY).write_bytes(program)

    def run_script(self, *arguments, **parameters):
        environment = {"HOME": str(self.home), "PATH": str(self.tools), "CURL_CA_BUNDLE": self.certificate,
                       "no_proxy": "*"}
        environment |= self.environment
        environment |= {f"SEEDFARMER_PARAMETER_{name}": value for name, value in parameters.items()}
        script = self.module / "scripts/get-replicator.sh"
        done = subprocess.run(["bash", "-x", str(script), *arguments], env=environment, text=True, timeout=60,
                              stdin=subprocess.DEVNULL, capture_output=True, cwd="/", check=False)
        said = done.stdout + done.stderr
        self.assertNotIn("ecret'", said)
        left = [path.name for path in (self.home / ".replicator/bin").glob("*") if path.name != "replicator"]
        self.assertEqual(left, [])
        return done.returncode, said

    def installed(self):
        program = self.home / ".replicator/bin/replicator"
        if not program.exists():
            return None
        return subprocess.run([program], text=True, capture_output=True, check=True).stdout.strip()

    def gets(self, *arguments, **parameters):
        code, said = self.run_script(*arguments, **parameters)
        self.assertEqual(code, 0, said)
        return said

    def refuses(self, *arguments, **parameters):
        code, said = self.run_script(*arguments, **parameters)
        self.assertEqual(code, 1, said)
        self.assertIsNone(self.installed())
        return said

    def test_a_bundled_program_with_its_sum_comes_first(self):
        self.pin(SUM)
        self.bundle()
        said = self.gets(REPLICATOR_DISTRO_URL=f"{self.url}/missing")
        self.assertIn(f"replicator 9.9.9 from bin/{BINARY}", said)
        self.assertEqual(self.installed(), "replicator 9.9.9")

    def test_a_bundled_program_without_its_sum_does_not_run(self):
        self.tool("cargo", CARGO)
        self.bundle(b"#!/bin/sh\ntouch $HOME/ran\n")
        self.assertIn("refused, because no SHA-256 is pinned", self.refuses())
        self.pin(SUM)
        self.assertIn("refused, its SHA-256 is", self.refuses())
        self.assertFalse((self.home / "ran").exists())

    def test_a_program_that_does_not_run_is_not_installed(self):
        program = b"#!/bin/sh\nexit 1\n"
        self.pin(hashlib.sha256(program).hexdigest())
        self.bundle(program)
        self.assertIn("does not run on this machine", self.refuses())

    def test_an_address_needs_a_sum(self):
        url = f"{self.url}/replicator?X-Signature=private"
        said = self.refuses(REPLICATOR_DISTRO_URL=url)
        self.assertIn("ReplicatorDistroSha256", said)
        said += self.refuses(REPLICATOR_DISTRO_URL=url, REPLICATOR_DISTRO_SHA256="1" * 64)
        said += self.refuses(REPLICATOR_DISTRO_URL=url, REPLICATOR_DISTRO_SHA256="none")
        said += self.gets(REPLICATOR_DISTRO_URL=url, REPLICATOR_DISTRO_SHA256=f" {SUM.upper()}\n")
        self.assertNotIn("X-Signature", said)
        self.pin(SUM)
        self.gets(REPLICATOR_DISTRO_URL=url, REPLICATOR_DISTRO_SHA256="null", REPLICATOR_DISTRO_SECRET_NAME="null")

    def test_a_parameter_in_capitals_with_dashes_counts(self):
        url = f"{self.url}/replicator"
        self.gets(**{"REPLICATOR-DISTRO-URL": url, "REPLICATOR-DISTRO-SHA256": SUM})
        self.assertEqual(self.installed(), "replicator 9.9.9")

    def test_an_address_that_fails_is_not_passed_over(self):
        self.tool("cargo", CARGO)
        self.pin(SUM)
        self.assertIn("cannot be fetched", self.refuses(REPLICATOR_DISTRO_URL=f"{self.url}/missing"))
        for url in ("http://localhost/x", "ftp://localhost/x", "https://me:word@localhost/x", "https://local host"):
            with self.subTest(url):
                self.assertNotIn("word@", self.refuses(REPLICATOR_DISTRO_URL=url))

    def test_credentials_come_from_a_secret_in_both_shapes_and_stand_in_no_argument(self):
        self.pin(SUM)
        url = f"{self.url}/private/replicator"
        self.assertIn("401", self.refuses(REPLICATOR_DISTRO_URL=url))
        pair = {"username": "me", "password": PASSWORD}
        for secret, parameters in ((pair, {}), ({"the-key": pair}, {"REPLICATOR_DISTRO_SECRET_KEY": "the-key"})):
            (self.home / "secret").write_text(json.dumps(secret))
            self.gets(REPLICATOR_DISTRO_URL=url, REPLICATOR_DISTRO_SECRET_NAME="its-name", **parameters)
        arguments = (self.home / "curl-arguments").read_text()
        self.assertNotIn("ecret", arguments)
        self.assertNotIn("localhost", arguments)

    def test_a_secret_of_another_shape_is_named_and_not_shown(self):
        self.pin(SUM)
        for secret in ('not JSON: ecret\'', '["ecret\'"]', '{"other": "ecret\'"}', '{"username": "ecret\'"}',
                       '{"username": "a", "password": 1}', '{"username": "a:b", "password": "c"}',
                       '{"username": "a", "password": "line\\nuser = b"}'):
            (self.home / "secret").write_text(secret)
            for key in ("", "the-key"):
                with self.subTest(secret=secret, key=key):
                    said = self.refuses(REPLICATOR_DISTRO_URL=self.url, REPLICATOR_DISTRO_SECRET_NAME="its-name",
                                        REPLICATOR_DISTRO_SECRET_KEY=key)
                    self.assertIn("its-name", said)

    def test_s3(self):
        self.pin(SUM)
        (self.home / "object").write_bytes(PROGRAM)
        self.gets(REPLICATOR_DISTRO_URL="s3://bucket/replicator")
        (self.home / "object").unlink()
        self.refuses(REPLICATOR_DISTRO_URL="s3://bucket/replicator")

    def test_the_release_of_the_version_comes_before_a_build(self):
        self.tool("cargo", CARGO)
        self.copy_script("0" * 64, "team/module")
        # GitHub is this server: curl of the test goes to it whatever the host.
        port = self.url.rsplit(":", 1)[1]
        self.tool("curl", CURL.format(curl=f"{shutil.which('curl')} --insecure --connect-to ::localhost:{port}"))
        self.pin("1" * 64)
        self.assertIn("refused, its SHA-256 is", self.refuses())
        self.pin(SUM)
        place = f"https://github.com/team/module/releases/download/v9.9.9/{BINARY}"
        self.assertIn(f"replicator 9.9.9 from {place}", self.gets())
        cargo_toml = self.module / "Cargo.toml"
        cargo_toml.write_text(cargo_toml.read_text().replace("9.9.9", "missing"))
        said = self.gets()
        self.assertIn("vmissing", said)
        self.assertIn("cannot be fetched", said)
        self.assertEqual(self.installed(), "replicator built")

    def test_nothing_else_there_is_built(self):
        self.tool("cargo", CARGO)
        said = self.gets()
        self.assertIn("replicator built from its source", said)
        self.assertEqual(said.count("get-replicator: no binary for this machine: builds from source, about"), 1)
        self.assertEqual(self.installed(), "replicator built")
        self.assertNotIn("--config", (self.home / "cargo-arguments").read_text())

    def test_without_cargo_rustup_installs_the_pinned_toolchain_from_a_mirror(self):
        channel = re.search('channel = "(.*)"', (MODULE / "rust-toolchain.toml").read_text())[1]
        said = self.gets(RUSTUP_MIRROR=f"{self.url}/mirror/", CARGO_REGISTRY="sparse+https://mirror.example.com/index/")
        self.assertEqual(said.count("get-replicator: no binary for this machine and no cargo: installs Rust "
                                    f"{channel} and builds from source, about"), 1)
        self.assertEqual(self.installed(), "replicator built")
        asked = (self.home / "rustup-arguments").read_text()
        self.assertIn("rustup-init -y", asked)
        self.assertIn(f"--default-toolchain {channel} from {self.url}/mirror\n", asked)
        self.assertIn('source.mirror.registry="sparse+https://mirror.example.com/index/"',
                      (self.home / "cargo-arguments").read_text())

    def test_an_installer_of_another_sum_does_not_run(self):
        self.copy_script("1" * 64)
        self.assertIn("refused, its SHA-256 is", self.refuses(RUSTUP_MIRROR=self.url))
        self.assertFalse((self.home / "rustup-arguments").exists())

    def test_a_rustup_without_the_pinned_toolchain_fetches_it(self):
        self.tool("cargo", CARGO)
        self.tool("rustup", '#!/bin/sh\necho "$@ from $RUSTUP_DIST_SERVER" >>"$HOME/rustup-arguments"\n[ "$1" != run ]\n')
        self.gets(RUSTUP_MIRROR=self.url)
        self.assertRegex((self.home / "rustup-arguments").read_text(), f"toolchain install .* from {self.url}\n")

    def test_what_cannot_be_built_names_the_alternatives_with_the_easiest_first(self):
        def fails(reason, **parameters):
            said = self.refuses(**parameters)
            self.assertIn(reason, said)
            places = [said.index(word) for word in ("1. run `make bundle`", "2. put a binary", "ReplicatorDistroUrl",
                                                    "3. let the build", "codebuildImage")]
            self.assertEqual(places, sorted(places))

        fails("rustup cannot be fetched", RUSTUP_MIRROR=f"{self.url}/missing")
        (self.home / "no-toolchain").touch()
        fails("rustup cannot install Rust", RUSTUP_MIRROR=self.url)
        self.tool("cargo", "#!/bin/sh\nexit 101\n")
        fails("the dependencies cannot be fetched")
        self.tool("cargo", "#!/bin/sh\n[ $1 = fetch ]\n")
        fails("cargo build failed")
        self.tool("rustup", "#!/bin/sh\nexit 1\n")
        fails("rustup cannot install Rust")
        (self.tools / "cc").unlink()
        fails("no C compiler")

    def test_a_mirror_is_named_by_https(self):
        self.tool("cargo", CARGO)
        for name in ("RUSTUP_MIRROR", "CARGO_REGISTRY"):
            for url in ("http://localhost", "localhost", "https://", "https://a b", 'https://a"b', "https://a\nb", "https://a\\"):
                with self.subTest(name=name, url=url):
                    self.refuses(**{name: url})

    def test_every_download_ends(self):
        self.environment["REPLICATOR_DOWNLOAD_SECONDS"] = "2"
        self.pin(SUM)
        (self.home / "hangs").touch()
        for parameters in ({"REPLICATOR_DISTRO_URL": f"{self.url}/drip"}, {"RUSTUP_MIRROR": f"{self.url}/drip"},
                           {"REPLICATOR_DISTRO_URL": "s3://bucket/replicator"}):
            with self.subTest(parameters):
                started = time.monotonic()
                self.assertIn("cannot be fetched", self.refuses(**parameters))
                self.assertLess(time.monotonic() - started, 15)
        (self.home / "hangs").unlink()
        self.tool("cargo", "#!/bin/sh\nsleep 30\n")
        started = time.monotonic()
        self.assertIn("dependencies cannot be fetched", self.refuses())
        self.assertLess(time.monotonic() - started, 15)
        for line in (self.home / "curl-arguments").read_text().splitlines():
            self.assertIn("--max-time 2 --speed-limit 10240 --speed-time 30", line)

    def test_destroy_builds_only_what_it_needs(self):
        self.tool("cargo", CARGO)
        for retention in ("RETAIN", "", "null", "other"):
            with self.subTest(retention):
                self.assertIn("none is built", self.refuses("--for-destroy", RETENTION_TYPE=retention))
        self.gets("--for-destroy", RETENTION_TYPE=" Destroy\n")

    def test_the_parameters_of_the_helm_program_get_one_line(self):
        self.pin(SUM)
        self.bundle()
        said = self.gets(HELM_DISTRO_URL="https://example.com", HELM_DISTRO_SECRET_NAME="a")
        self.assertEqual(said.count("no helm is needed"), 1)
        self.assertNotIn("helm", self.gets())


if __name__ == "__main__":
    unittest.main()
