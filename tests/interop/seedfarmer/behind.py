"""ECR is one house with two doors: what is pushed to the registry, its own API knows. Here the registry is a
docker-registry and the API is moto's, so moto is made to look there for images and layers."""

import base64
import hashlib
import urllib.error
import urllib.request
from pathlib import Path

from moto.ecr.models import ECRBackend

TYPES = ", ".join([
    "application/vnd.oci.image.index.v1+json",
    "application/vnd.oci.image.manifest.v1+json",
    "application/vnd.docker.distribution.manifest.list.v2+json",
    "application/vnd.docker.distribution.manifest.v2+json",
])


def ask_behind(address_file):
    """From now on; the file has the registry's `host:port` as soon as it listens."""

    def get(method, account, path):
        """The answer of the registry, None where it has no such thing."""
        password = base64.b64encode(f"AWS:{account}-auth-token".encode()).decode()
        address = Path(address_file).read_text(encoding="ascii").strip()
        request = urllib.request.Request(
            f"http://{address}/v2/{path}", method=method,
            headers={"Accept": TYPES, "Authorization": f"Basic {password}"})
        try:
            return urllib.request.urlopen(request, timeout=30)
        except urllib.error.HTTPError as error:
            if error.code == 404:
                return None
            raise

    def batch_get_image(self, repository_name, registry_id=None, image_ids=None):
        self._get_repository(repository_name, registry_id)
        found = {"images": [], "failures": []}
        for image_id in image_ids:
            name = image_id.get("imageDigest") or image_id["imageTag"]
            answer = get("GET", self.account_id, f"{repository_name}/manifests/{name}")
            if answer is None:
                found["failures"].append({"imageId": image_id, "failureCode": "ImageNotFound",
                                          "failureReason": "Requested image not found"})
                continue
            manifest = answer.read()
            digest = f"sha256:{hashlib.sha256(manifest).hexdigest()}"
            found["images"].append({
                "registryId": self.account_id, "repositoryName": repository_name,
                "imageId": {**image_id, "imageDigest": digest}, "imageManifest": manifest.decode(),
                "imageManifestMediaType": answer.headers["Content-Type"]})
        return found

    def batch_check_layer_availability(self, repository_name, layer_digests, registry_id=None):
        self._get_repository(repository_name, registry_id)
        found = {"layers": [], "failures": []}
        for digest in layer_digests:
            answer = get("HEAD", self.account_id, f"{repository_name}/blobs/{digest}")
            if answer is None:
                found["failures"].append({"layerDigest": digest, "failureCode": "MissingLayerDigest",
                                          "failureReason": "no such layer"})
            else:
                found["layers"].append({"layerDigest": digest, "layerAvailability": "AVAILABLE",
                                        "layerSize": int(answer.headers["Content-Length"])})
        return found

    ECRBackend.batch_get_image = batch_get_image
    ECRBackend.batch_check_layer_availability = batch_check_layer_availability
