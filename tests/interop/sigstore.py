#!/usr/bin/env python3
"""Authorities for certificates and timestamps and logs like Sigstore's, on this machine and for minutes.

    sigstore.py make FOLDER                      keys, and `trusted_root.json`
    sigstore.py image HOST/REPOSITORY[:TAG] [N]  an index of N platforms, or two; prints its digest and that of the first
    sigstore.py sign FOLDER HOST/REPOSITORY DIGEST SCHEME CASE
                                                 a signature of an image, pushed beside it, as a `tag`, a `bundle`, or a
                                                 `bundle2` with a log that has no times (Rekor 2)
    sigstore.py sign-key KEY HOST/REPOSITORY DIGEST SCHEME
                                                 the same by a private key in a file, with SHA-256
    sigstore.py sign-kms URL ARN HOST/REPOSITORY DIGEST SCHEME
                                                 the same by a key of KMS

Cases: good; expired (the log saw it after the certificate's end); tampered (the signed content was changed); other
(about another image); stranger (by another authority); unlogged (the log's signature is wrong); p384 (by a key on
P-384) and p384-sha256 (the same with SHA-256); of a `bundle` intoto (the log has an older kind of entry); and of a `bundle2` untimed (without a timestamp), clock (by another
authority for timestamps), replayed (the timestamp of another signature).
"""

import base64
import datetime
import hashlib
import json
import pathlib
import struct
import subprocess
import sys
import tempfile
import urllib.parse
import urllib.request

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

IDENTITY = "team@example.com"
ISSUER = "https://issuer.example.com"
BUNDLE = "application/vnd.dev.sigstore.bundle.v0.3+json"
MANIFEST = "application/vnd.oci.image.manifest.v1+json"
INDEX = "application/vnd.oci.image.index.v1+json"
IN_TOTO = "application/vnd.in-toto+json"
SCTS = x509.ObjectIdentifier("1.3.6.1.4.1.11129.2.4.2")
OIDC_ISSUER = x509.ObjectIdentifier("1.3.6.1.4.1.57264.1.8")
# The same before it was DER: cosign looks at this one where a signature is under a tag.
OIDC_ISSUER_V1 = x509.ObjectIdentifier("1.3.6.1.4.1.57264.1.1")
PEM = serialization.Encoding.PEM
DER = serialization.Encoding.DER
SPKI = serialization.PublicFormat.SubjectPublicKeyInfo
# As in Sigstore, the authorities are on P-384, and the log without times is on Ed25519.
KEYS = {
    "root": ec.SECP384R1,
    "authority": ec.SECP384R1,
    "stranger": ec.SECP256R1,
    "certificates": ec.SECP256R1,
    "log": ec.SECP256R1,
    "untimed": None,
    "clocks": ec.SECP384R1,
    "clock": ec.SECP384R1,
    "strange-clock": ec.SECP256R1,
}
ORIGIN = "log.example.com"
UNTIMED = "untimed.example.com"
RAW = serialization.Encoding.Raw, serialization.PublicFormat.Raw


def b64(data):
    return base64.b64encode(data).decode()


def sha256(data):
    return hashlib.sha256(data).digest()


def sign(key, data, sha=hashes.SHA256):
    if isinstance(key, ed25519.Ed25519PrivateKey):
        return key.sign(data)
    if isinstance(key, rsa.RSAPrivateKey):
        return key.sign(data, padding.PKCS1v15(), sha())
    return key.sign(data, ec.ECDSA(sha()))


def public(key):
    return key.public_key().public_bytes(DER, SPKI)


def canonical(value):
    return json.dumps(value, sort_keys=True, separators=(",", ":")).encode()


def now():
    return datetime.datetime.now(datetime.timezone.utc).replace(microsecond=0)


def usual(key):
    """The hash for signatures by an authority's key."""
    return hashes.SHA384 if key.curve.name == "secp384r1" else hashes.SHA256


def authority(key, name, issuer=None, issuer_key=None, purpose=None):
    """A certificate of an authority; with a purpose, one that is no authority itself."""
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    is_authority = purpose is None
    usage = x509.KeyUsage(not is_authority, False, False, False, False, is_authority, is_authority, False, False)
    builder = x509.CertificateBuilder().subject_name(subject).public_key(key.public_key())
    builder = builder.issuer_name(issuer.subject if issuer else subject)
    builder = builder.serial_number(x509.random_serial_number())
    builder = builder.not_valid_before(now() - datetime.timedelta(days=1))
    builder = builder.not_valid_after(now() + datetime.timedelta(days=365))
    if is_authority:
        builder = builder.add_extension(x509.BasicConstraints(True, 1 if issuer is None else 0), True)
    else:
        builder = builder.add_extension(x509.ExtendedKeyUsage([purpose]), True)
    builder = builder.add_extension(usage, True)
    if issuer and is_authority:
        builder = builder.add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CODE_SIGNING]), False)
    builder = builder.add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), False)
    signer = issuer_key or key
    return builder.sign(signer, usual(signer)())


def make(folder):
    folder.mkdir(parents=True, exist_ok=True)
    keys = {}
    for name, curve in KEYS.items():
        keys[name] = ec.generate_private_key(curve()) if curve else ed25519.Ed25519PrivateKey.generate()
        no_password = serialization.NoEncryption()
        pem = keys[name].private_bytes(PEM, serialization.PrivateFormat.PKCS8, no_password)
        (folder / f"{name}.key").write_bytes(pem)
    of = {name: authority(keys[name], name) for name in ["root", "stranger", "clocks"]}
    of["authority"] = authority(keys["authority"], "authority", of["root"], keys["root"])
    stamping = ExtendedKeyUsageOID.TIME_STAMPING
    of["clock"] = authority(keys["clock"], "clock", of["clocks"], keys["clocks"], stamping)
    of["strange-clock"] = authority(keys["strange-clock"], "clock", of["stranger"], keys["stranger"], stamping)
    for name, made in of.items():
        (folder / f"{name}.crt").write_bytes(made.public_bytes(PEM))
    begin = (now() - datetime.timedelta(days=1)).strftime("%Y-%m-%dT%H:%M:%SZ")

    def log(key, host, kind="PKIX_ECDSA_P256_SHA_256"):
        return {
            "baseUrl": f"https://{host}",
            "hashAlgorithm": "SHA2_256",
            "publicKey": {"rawBytes": b64(public(key)), "keyDetails": kind, "validFor": {"start": begin}},
            "logId": {"keyId": b64(log_id(key, host))},
        }

    def chain(url, *names):
        return {
            "subject": {"organization": "example.com", "commonName": names[0]},
            "uri": url,
            "certChain": {"certificates": [{"rawBytes": b64(of[name].public_bytes(DER))} for name in names]},
            "validFor": {"start": begin},
        }

    trusted = {
        "mediaType": "application/vnd.dev.sigstore.trustedroot+json;version=0.1",
        "tlogs": [log(keys["log"], ORIGIN), log(keys["untimed"], UNTIMED, "PKIX_ED25519")],
        "certificateAuthorities": [chain("https://ca.example.com", "authority", "root")],
        "ctlogs": [log(keys["certificates"], "ct.example.com")],
        "timestampAuthorities": [chain("https://clock.example.com", "clock", "clocks")],
    }
    (folder / "trusted_root.json").write_text(json.dumps(trusted, indent=2))


def log_id(key, host):
    """The SHA-256 of the key, or as a signed note has it of Ed25519: of the log's name and the key."""
    if isinstance(key, ed25519.Ed25519PrivateKey):
        return sha256(f"{host}\n\1".encode() + key.public_key().public_bytes(*RAW))
    return sha256(public(key))


def load(folder):
    keys = {
        name: serialization.load_pem_private_key((folder / f"{name}.key").read_bytes(), None) for name in KEYS
    }
    certificates = {
        name: x509.load_pem_x509_certificate((folder / f"{name}.crt").read_bytes())
        for name in ["root", "authority", "stranger"]
    }
    return keys, certificates


def timestamp(folder, clock, root, data):
    """The response of an authority for timestamps: it is openssl."""
    settings = """
[tsa]
serial = {folder}/serial
crypto_device = builtin
signer_digest = sha256
default_policy = 1.2.3.4
digests = sha256
ess_cert_id_alg = sha256
"""
    with tempfile.TemporaryDirectory() as scratch:
        work = pathlib.Path(scratch)
        (work / "tsa.cnf").write_text(settings.format(folder=scratch))
        (work / "serial").write_text("01\n")
        (work / "data").write_bytes(data)
        openssl = ["openssl", "ts"]
        quiet = {"check": True, "stderr": subprocess.DEVNULL}
        query = ["-query", "-data", work / "data", "-sha256", "-cert", "-out", work / "query"]
        subprocess.run([*openssl, *query, "-config", work / "tsa.cnf"], **quiet)
        by = ["-signer", folder / f"{clock}.crt", "-inkey", folder / f"{clock}.key", "-chain", folder / f"{root}.crt"]
        reply = ["-reply", "-queryfile", work / "query", "-section", "tsa", *by, "-out", work / "reply"]
        subprocess.run([*openssl, *reply, "-config", work / "tsa.cnf"], **quiet)
        return (work / "reply").read_bytes()


def certificate(keys, issuer, issuer_key, key, begin):
    """A certificate of ten minutes, with the promise of the certificate log in it."""
    usage = x509.KeyUsage(True, False, False, False, False, False, False, False, False)
    issuer_text = ISSUER.encode()
    builder = x509.CertificateBuilder().subject_name(x509.Name([])).issuer_name(issuer.subject)
    builder = builder.public_key(key.public_key()).serial_number(x509.random_serial_number())
    builder = builder.not_valid_before(begin).not_valid_after(begin + datetime.timedelta(minutes=10))
    builder = builder.add_extension(usage, True)
    builder = builder.add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CODE_SIGNING]), False)
    of_issuer = x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer_key.public_key())
    builder = builder.add_extension(of_issuer, False)
    builder = builder.add_extension(x509.SubjectAlternativeName([x509.RFC822Name(IDENTITY)]), True)
    utf8 = bytes([0x0C, len(issuer_text)]) + issuer_text
    builder = builder.add_extension(x509.UnrecognizedExtension(OIDC_ISSUER_V1, issuer_text), False)
    builder = builder.add_extension(x509.UnrecognizedExtension(OIDC_ISSUER, utf8), False)
    before = builder.sign(issuer_key, usual(issuer_key)()).tbs_certificate_bytes
    moment = int(begin.timestamp() * 1000)
    entry = struct.pack(">BBQH", 0, 0, moment, 1) + sha256(public(issuer_key))
    entry += struct.pack(">I", len(before))[1:] + before + b"\0\0"
    signature = sign(keys["certificates"], entry)
    promise = b"\0" + sha256(public(keys["certificates"])) + struct.pack(">Q", moment) + b"\0\0"
    promise += b"\4\3" + struct.pack(">H", len(signature)) + signature
    listed = struct.pack(">H", len(promise)) + promise
    listed = struct.pack(">H", len(listed)) + listed
    head = bytes([4, len(listed)]) if len(listed) < 128 else bytes([4, 0x81, len(listed)])
    builder = builder.add_extension(x509.UnrecognizedExtension(SCTS, head + listed), False)
    return builder.sign(issuer_key, usual(issuer_key)())


def simple(digest):
    """What is signed under a tag."""
    image = {"docker-manifest-digest": digest}
    critical = {"identity": {"docker-reference": ""}, "image": image, "type": "cosign container image signature"}
    return canonical({"critical": critical, "optional": None})


def statement(digest):
    """What is signed in a bundle: the statement, and what of it is signed."""
    payload = canonical(
        {
            "_type": "https://in-toto.io/Statement/v1",
            "subject": [{"name": "", "digest": {"sha256": digest.split(":")[1]}}],
            "predicateType": "https://sigstore.dev/cosign/sign/v1",
            "predicate": {},
        }
    )
    return payload, f"DSSEv1 {len(IN_TOTO)} {IN_TOTO} {len(payload)} ".encode() + payload


def envelope_of(payload, signature):
    return {"payload": b64(payload), "payloadType": IN_TOTO, "signatures": [{"sig": b64(signature)}]}


class Keyed:
    """A signature by a key alone."""

    def __init__(self, signs, digest):
        self.signs = signs
        self.digest = digest

    def tag(self):
        payload = simple(self.digest)
        return payload, {"dev.cosignproject.cosign/signature": b64(self.signs(payload))}

    def bundle(self):
        payload, encoding = statement(self.digest)
        return {
            "mediaType": BUNDLE,
            "verificationMaterial": {"publicKey": {"hint": "key"}, "tlogEntries": []},
            "dsseEnvelope": envelope_of(payload, self.signs(encoding)),
        }


class Signature:
    """A signature by a certificate, with entries in logs."""

    def __init__(self, folder, digest, case):
        self.keys, authorities = load(folder)
        name = "stranger" if case == "stranger" else "authority"
        self.folder = folder
        self.case = case
        self.digest = "sha256:" + "ab" * 32 if case == "other" else digest
        self.key = ec.generate_private_key(ec.SECP384R1() if case.startswith("p384") else ec.SECP256R1())
        self.hash = hashes.SHA384 if case == "p384" else hashes.SHA256
        begin = now() - datetime.timedelta(minutes=5)
        if case == "expired":
            begin = begin - datetime.timedelta(hours=2)
        self.certificate = certificate(self.keys, authorities[name], self.keys[name], self.key, begin)
        above = [authorities[name]] + ([authorities["root"]] if name == "authority" else [])
        self.chain = "".join(one.public_bytes(PEM).decode() for one in above)
        late = datetime.timedelta(minutes=60 if case == "expired" else 1)
        self.moment = int((begin + late).timestamp())
        self.pem = self.certificate.public_bytes(PEM)
        self.log_id = sha256(public(self.keys["log"]))

    def sign(self, data):
        return sign(self.key, data, self.hash)

    def promise(self, body):
        content = {"body": b64(body), "integratedTime": self.moment, "logID": self.log_id.hex(), "logIndex": 0}
        key = self.keys["certificates"] if self.case == "unlogged" else self.keys["log"]
        return content, sign(key, canonical(content))

    def tag(self):
        payload = simple(self.digest)
        signature = self.sign(payload)
        body = canonical(
            {
                "apiVersion": "0.0.1",
                "kind": "hashedrekord",
                "spec": {
                    "data": {"hash": {"algorithm": "sha256", "value": sha256(payload).hex()}},
                    "signature": {"content": b64(signature), "publicKey": {"content": b64(self.pem)}},
                },
            }
        )
        content, promise = self.promise(body)
        if self.case == "tampered":
            payload = payload.replace(b'"optional"', b'"Optional"')
        annotations = {
            "dev.cosignproject.cosign/signature": b64(signature),
            "dev.sigstore.cosign/certificate": self.pem.decode(),
            "dev.sigstore.cosign/chain": self.chain,
            "dev.sigstore.cosign/bundle": json.dumps({"SignedEntryTimestamp": b64(promise), "Payload": content}),
        }
        return payload, annotations

    def inclusion(self, body, key, origin, first_line):
        """The proof that a log of one entry has it: its hash is the root."""
        leaf = sha256(b"\0" + body)
        note = f"{first_line}\n1\n{b64(leaf)}\n"
        of_note = sign(key, note.encode())
        return {
            "logIndex": "0",
            "rootHash": b64(leaf),
            "treeSize": "1",
            "hashes": [],
            "checkpoint": {
                "envelope": f"{note}\n\N{EM DASH} {origin} {b64(log_id(key, origin)[:4] + of_note)}\n"
            },
        }

    def timed_entry(self, payload, signature, envelope):
        body = canonical(
            {
                "apiVersion": "0.0.1",
                "kind": "dsse",
                "spec": {
                    "envelopeHash": {"algorithm": "sha256", "value": sha256(canonical(envelope)).hex()},
                    "payloadHash": {"algorithm": "sha256", "value": sha256(payload).hex()},
                    "signatures": [{"signature": b64(signature), "verifier": b64(self.pem)}],
                },
            }
        )
        kind = {"kind": "dsse", "version": "0.0.1"}
        if self.case == "intoto":
            kind, body = {"kind": "intoto", "version": "0.0.2"}, self.intoto_body(payload, signature, envelope)
        _, promise = self.promise(body)
        return {
            "logIndex": "0",
            "logId": {"keyId": b64(self.log_id)},
            "kindVersion": kind,
            "integratedTime": str(self.moment),
            "inclusionPromise": {"signedEntryTimestamp": b64(promise)},
            "inclusionProof": self.inclusion(body, self.keys["log"], ORIGIN, f"{ORIGIN} - 1"),
            "canonicalizedBody": b64(body),
        }

    def intoto_body(self, payload, signature, envelope):
        """The kind of entry that clients wrote before."""
        signed = {"publicKey": b64(self.pem), "sig": b64(b64(signature).encode())}
        content = {
            "envelope": {"payloadType": IN_TOTO, "signatures": [signed]},
            "hash": {"algorithm": "sha256", "value": sha256(canonical(envelope)).hex()},
            "payloadHash": {"algorithm": "sha256", "value": sha256(payload).hex()},
        }
        return canonical({"apiVersion": "0.0.2", "kind": "intoto", "spec": {"content": content}})

    def untimed_entry(self, encoding, signature):
        name, sha = ("P384_SHA_384", "SHA2_384") if self.case == "p384" else ("P256_SHA_256", "SHA2_256")
        digest = hashlib.new("sha384" if self.case == "p384" else "sha256", encoding).digest()
        verifier = {
            "keyDetails": f"PKIX_ECDSA_{name}",
            "x509Certificate": {"rawBytes": b64(self.certificate.public_bytes(DER))},
        }
        record = {
            "data": {"algorithm": sha, "digest": b64(digest)},
            "signature": {"content": b64(signature), "verifier": verifier},
        }
        body = canonical({"apiVersion": "0.0.2", "kind": "hashedrekord", "spec": {"hashedRekordV002": record}})
        key = ed25519.Ed25519PrivateKey.generate() if self.case == "unlogged" else self.keys["untimed"]
        return {
            "logIndex": "0",
            "logId": {"keyId": b64(log_id(self.keys["untimed"], UNTIMED))},
            "kindVersion": {"kind": "hashedrekord", "version": "0.0.2"},
            "integratedTime": "0",
            "inclusionProof": self.inclusion(body, key, UNTIMED, UNTIMED),
            "canonicalizedBody": b64(body),
        }

    def bundle(self, is_timed=True):
        payload, encoding = statement(self.digest)
        signature = self.sign(encoding)
        envelope = envelope_of(payload, signature)
        entry = self.timed_entry(payload, signature, envelope) if is_timed else self.untimed_entry(encoding, signature)
        if self.case == "tampered":
            envelope["payload"] = b64(payload.replace(b'"predicate":{}', b'"predicate":{"a":1}'))
        material = {"certificate": {"rawBytes": b64(self.certificate.public_bytes(DER))}, "tlogEntries": [entry]}
        if not is_timed and self.case != "untimed":
            clock, root = ("strange-clock", "stranger") if self.case == "clock" else ("clock", "clocks")
            stamped = timestamp(self.folder, clock, root, b"another" if self.case == "replayed" else signature)
            material["timestampVerificationData"] = {"rfc3161Timestamps": [{"signedTimestamp": b64(stamped)}]}
        return {"mediaType": BUNDLE, "verificationMaterial": material, "dsseEnvelope": envelope}


def request(method, url, data=None, media_type="application/octet-stream"):
    call = urllib.request.Request(url, data=data, method=method, headers={"Content-Type": media_type})
    with urllib.request.urlopen(call, timeout=30) as answer:
        return answer.headers, answer.read()


def put_blob(base, data):
    digest = "sha256:" + hashlib.sha256(data).hexdigest()
    headers, _ = request("POST", f"{base}/blobs/uploads/", b"")
    location = urllib.parse.urljoin(f"{base}/", headers["Location"])
    joint = "&" if "?" in location else "?"
    request("PUT", f"{location}{joint}digest={digest}", data)
    return {"digest": digest, "size": len(data)}


def push(place, digest, scheme, signature):
    host, repository = place.split("/", 1)
    base = f"http://{host}/v2/{repository}"
    if scheme == "tag":
        payload, annotations = signature.tag()
        config = {"mediaType": "application/vnd.oci.image.config.v1+json", **put_blob(base, b"{}")}
        layer = {
            "mediaType": "application/vnd.dev.cosign.simplesigning.v1+json",
            **put_blob(base, payload),
            "annotations": annotations,
        }
        manifest = {"schemaVersion": 2, "mediaType": MANIFEST, "config": config, "layers": [layer]}
        name = digest.replace(":", "-") + ".sig"
    else:
        bundle = signature.bundle(False) if scheme == "bundle2" else signature.bundle()
        headers, content = request("GET", f"{base}/manifests/{digest}", None)
        subject = {"mediaType": headers["Content-Type"], "digest": digest, "size": len(content)}
        manifest = {
            "schemaVersion": 2,
            "mediaType": MANIFEST,
            "artifactType": BUNDLE,
            "config": {"mediaType": "application/vnd.oci.empty.v1+json", **put_blob(base, b"{}")},
            "layers": [{"mediaType": BUNDLE, **put_blob(base, json.dumps(bundle).encode())}],
            "subject": subject,
            "annotations": {"dev.sigstore.bundle.content": "dsse-envelope"},
        }
        name = None
    put_manifest(base, name, MANIFEST, manifest)


def image(place, platforms=2):
    name, tag = place.rsplit(":", 1) if ":" in place.rsplit("/", 1)[-1] else (place, "1")
    host, repository = name.split("/", 1)
    base = f"http://{host}/v2/{repository}"
    children = []
    for architecture in ["amd64", "arm64", *(f"arch{number:04}" for number in range(2, platforms))]:
        # Another tag has other content.
        content = f"{architecture} {tag}".encode()
        config = json.dumps({"architecture": architecture, "os": "linux", "rootfs": {"type": "layers", "diff_ids": []}})
        config = {"mediaType": "application/vnd.oci.image.config.v1+json", **put_blob(base, config.encode())}
        layer = {"mediaType": "application/vnd.oci.image.layer.v1.tar+gzip", **put_blob(base, content)}
        manifest = {"schemaVersion": 2, "mediaType": MANIFEST, "config": config, "layers": [layer]}
        platform = {"os": "linux", "architecture": architecture}
        children.append({**put_manifest(base, None, MANIFEST, manifest), "platform": platform})
    index = {"schemaVersion": 2, "mediaType": INDEX, "manifests": children}
    print(put_manifest(base, tag, INDEX, index)["digest"], children[0]["digest"])


def put_manifest(base, name, media_type, manifest):
    data = json.dumps(manifest).encode()
    digest = "sha256:" + hashlib.sha256(data).hexdigest()
    request("PUT", f"{base}/manifests/{name or digest}", data, media_type)
    return {"mediaType": media_type, "digest": digest, "size": len(data)}


def kms(url, arn):
    """What signs with a key of KMS."""
    import boto3  # Nothing else needs it.

    client = boto3.client("kms", endpoint_url=url, region_name="us-east-1", aws_access_key_id="x", aws_secret_access_key="x")

    def signs(data):
        answer = client.sign(KeyId=arn, Message=data, MessageType="RAW", SigningAlgorithm="ECDSA_SHA_256")
        return answer["Signature"]

    return signs


def main():
    match sys.argv[1:]:
        case ["make", folder]:
            make(pathlib.Path(folder))
        case ["image", place]:
            image(place)
        case ["image", place, platforms]:
            image(place, int(platforms))
        case ["sign-key", path, place, digest, scheme]:
            key = serialization.load_pem_private_key(pathlib.Path(path).read_bytes(), None)
            push(place, digest, scheme, Keyed(lambda data: sign(key, data), digest))
        case ["sign-kms", url, arn, place, digest, scheme]:
            push(place, digest, scheme, Keyed(kms(url, arn), digest))
        case ["sign", folder, place, digest, scheme, case_name]:
            push(place, digest, scheme, Signature(pathlib.Path(folder), digest, case_name))
        case _:
            sys.exit(__doc__)


if __name__ == "__main__":
    main()
