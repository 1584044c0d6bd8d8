#!/usr/bin/env python3
"""A certificate authority, a certificate log and a transparency log like Sigstore's, on this machine and for minutes.

    sigstore.py make FOLDER                      keys, and `trusted_root.json`
    sigstore.py image HOST/REPOSITORY[:TAG]      an index of two platforms; prints its digest and that of the first
    sigstore.py sign FOLDER HOST/REPOSITORY DIGEST SCHEME CASE
                                                 a signature of an image, pushed beside it, as a `tag` or a `bundle`

Cases: good; expired (the log saw it after the certificate's end); tampered (the signed content was changed); other
(about another image); stranger (by another authority); unlogged (the log's signature is wrong).
"""

import base64
import datetime
import hashlib
import json
import pathlib
import struct
import sys
import urllib.parse
import urllib.request

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
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
KEYS = ["authority", "stranger", "certificates", "log"]
ORIGIN = "log.example.com"


def b64(data):
    return base64.b64encode(data).decode()


def sha256(data):
    return hashlib.sha256(data).digest()


def sign(key, data):
    return key.sign(data, ec.ECDSA(hashes.SHA256()))


def public(key):
    return key.public_key().public_bytes(DER, SPKI)


def canonical(value):
    return json.dumps(value, sort_keys=True, separators=(",", ":")).encode()


def now():
    return datetime.datetime.now(datetime.timezone.utc).replace(microsecond=0)


def authority(key, name):
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    usage = x509.KeyUsage(False, False, False, False, False, True, True, False, False)
    builder = x509.CertificateBuilder().subject_name(subject).issuer_name(subject).public_key(key.public_key())
    builder = builder.serial_number(x509.random_serial_number())
    builder = builder.not_valid_before(now() - datetime.timedelta(days=1))
    builder = builder.not_valid_after(now() + datetime.timedelta(days=365))
    builder = builder.add_extension(x509.BasicConstraints(True, 1), True).add_extension(usage, True)
    builder = builder.add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), False)
    return builder.sign(key, hashes.SHA256())


def make(folder):
    folder.mkdir(parents=True, exist_ok=True)
    keys = {}
    for name in KEYS:
        keys[name] = ec.generate_private_key(ec.SECP256R1())
        no_password = serialization.NoEncryption()
        pem = keys[name].private_bytes(PEM, serialization.PrivateFormat.PKCS8, no_password)
        (folder / f"{name}.key").write_bytes(pem)
    for name in ["authority", "stranger"]:
        (folder / f"{name}.crt").write_bytes(authority(keys[name], name).public_bytes(PEM))
    root = x509.load_pem_x509_certificate((folder / "authority.crt").read_bytes())
    begin = (now() - datetime.timedelta(days=1)).strftime("%Y-%m-%dT%H:%M:%SZ")

    def log(key, url):
        return {
            "baseUrl": url,
            "hashAlgorithm": "SHA2_256",
            "publicKey": {
                "rawBytes": b64(public(key)),
                "keyDetails": "PKIX_ECDSA_P256_SHA_256",
                "validFor": {"start": begin},
            },
            "logId": {"keyId": b64(sha256(public(key)))},
        }

    trusted = {
        "mediaType": "application/vnd.dev.sigstore.trustedroot+json;version=0.1",
        "tlogs": [log(keys["log"], f"https://{ORIGIN}")],
        "certificateAuthorities": [
            {
                "subject": {"organization": "example.com", "commonName": "authority"},
                "uri": "https://ca.example.com",
                "certChain": {"certificates": [{"rawBytes": b64(root.public_bytes(DER))}]},
                "validFor": {"start": begin},
            }
        ],
        "ctlogs": [log(keys["certificates"], "https://ct.example.com")],
        "timestampAuthorities": [],
    }
    (folder / "trusted_root.json").write_text(json.dumps(trusted, indent=2))


def load(folder):
    keys = {
        name: serialization.load_pem_private_key((folder / f"{name}.key").read_bytes(), None) for name in KEYS
    }
    certificates = {
        name: x509.load_pem_x509_certificate((folder / f"{name}.crt").read_bytes())
        for name in ["authority", "stranger"]
    }
    return keys, certificates


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
    before = builder.sign(issuer_key, hashes.SHA256()).tbs_certificate_bytes
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
    return builder.sign(issuer_key, hashes.SHA256())


class Signature:
    def __init__(self, folder, digest, case):
        self.keys, authorities = load(folder)
        name = "stranger" if case == "stranger" else "authority"
        self.case = case
        self.digest = "sha256:" + "ab" * 32 if case == "other" else digest
        self.key = ec.generate_private_key(ec.SECP256R1())
        begin = now() - datetime.timedelta(minutes=5)
        self.certificate = certificate(self.keys, authorities[name], self.keys[name], self.key, begin)
        self.chain = authorities[name].public_bytes(PEM).decode()
        late = datetime.timedelta(minutes=60 if case == "expired" else 1)
        if case == "expired":
            begin = begin - datetime.timedelta(hours=2)
            self.certificate = certificate(self.keys, authorities[name], self.keys[name], self.key, begin)
        self.moment = int((begin + late).timestamp())
        self.pem = self.certificate.public_bytes(PEM)
        self.log_id = sha256(public(self.keys["log"]))

    def promise(self, body):
        content = {"body": b64(body), "integratedTime": self.moment, "logID": self.log_id.hex(), "logIndex": 0}
        key = self.keys["certificates"] if self.case == "unlogged" else self.keys["log"]
        return content, sign(key, canonical(content))

    def tag(self):
        image = {"docker-manifest-digest": self.digest}
        critical = {"identity": {"docker-reference": ""}, "image": image, "type": "cosign container image signature"}
        payload = canonical({"critical": critical, "optional": None})
        signature = sign(self.key, payload)
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

    def bundle(self):
        subject = [{"name": "", "digest": {"sha256": self.digest.split(":")[1]}}]
        statement = {
            "_type": "https://in-toto.io/Statement/v1",
            "subject": subject,
            "predicateType": "https://sigstore.dev/cosign/sign/v1",
            "predicate": {},
        }
        payload = canonical(statement)
        encoding = f"DSSEv1 {len(IN_TOTO)} {IN_TOTO} {len(payload)} ".encode() + payload
        signature = sign(self.key, encoding)
        envelope = {"payload": b64(payload), "payloadType": IN_TOTO, "signatures": [{"sig": b64(signature)}]}
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
        _, promise = self.promise(body)
        # A log of one entry: its hash is the root.
        leaf = sha256(b"\0" + body)
        note = f"{ORIGIN} - 1\n1\n{b64(leaf)}\n"
        of_note = sign(self.keys["log"], note.encode())
        checkpoint = f"{note}\n\N{EM DASH} {ORIGIN} {b64(self.log_id[:4] + of_note)}\n"
        entry = {
            "logIndex": "0",
            "logId": {"keyId": b64(self.log_id)},
            "kindVersion": {"kind": "dsse", "version": "0.0.1"},
            "integratedTime": str(self.moment),
            "inclusionPromise": {"signedEntryTimestamp": b64(promise)},
            "inclusionProof": {
                "logIndex": "0",
                "rootHash": b64(leaf),
                "treeSize": "1",
                "hashes": [],
                "checkpoint": {"envelope": checkpoint},
            },
            "canonicalizedBody": b64(body),
        }
        if self.case == "tampered":
            envelope["payload"] = b64(payload.replace(b'"predicate":{}', b'"predicate":{"a":1}'))
        return {
            "mediaType": BUNDLE,
            "verificationMaterial": {
                "certificate": {"rawBytes": b64(self.certificate.public_bytes(DER))},
                "tlogEntries": [entry],
            },
            "dsseEnvelope": envelope,
        }


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
        headers, content = request("GET", f"{base}/manifests/{digest}", None)
        subject = {"mediaType": headers["Content-Type"], "digest": digest, "size": len(content)}
        manifest = {
            "schemaVersion": 2,
            "mediaType": MANIFEST,
            "artifactType": BUNDLE,
            "config": {"mediaType": "application/vnd.oci.empty.v1+json", **put_blob(base, b"{}")},
            "layers": [{"mediaType": BUNDLE, **put_blob(base, json.dumps(signature.bundle()).encode())}],
            "subject": subject,
            "annotations": {"dev.sigstore.bundle.content": "dsse-envelope"},
        }
        name = None
    put_manifest(base, name, MANIFEST, manifest)


def image(place):
    name, tag = place.rsplit(":", 1) if ":" in place.rsplit("/", 1)[-1] else (place, "1")
    host, repository = name.split("/", 1)
    base = f"http://{host}/v2/{repository}"
    children = []
    for architecture in ["amd64", "arm64"]:
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


def main():
    match sys.argv[1:]:
        case ["make", folder]:
            make(pathlib.Path(folder))
        case ["image", place]:
            image(place)
        case ["sign", folder, place, digest, scheme, case_name]:
            push(place, digest, scheme, Signature(pathlib.Path(folder), digest, case_name))
        case _:
            sys.exit(__doc__)


if __name__ == "__main__":
    main()
