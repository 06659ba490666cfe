"""The npm packages that the page uses: the only place that lists their versions and the only step that fetches them."""

import base64
import hashlib
import io
import shutil
import subprocess
import tarfile
import tempfile
from dataclasses import dataclass
from pathlib import Path

from e2ed2.errors import UserError
from e2ed2.files import data_folder

PATIENCE = 300  # s, for one package


@dataclass(frozen=True)
class Package:
    name: str
    version: str
    integrity: str  # as printed by `npm view NAME@VERSION dist.integrity`
    files: dict[str, str]  # path in the package => path beside the page

    @property
    def cache_file(self) -> Path:
        """Where the package is cached between exports."""
        return data_folder() / "npm" / f"{self.name.replace('/', '-')}-{self.version}.tgz"


PACKAGES = (
    Package(
        "onnxruntime-web",
        "1.30.0",
        "sha512-q0y+JrrtukXSzsBWEMccVfqX25LRmosXHF+CaRJmg8pZClzcV7svNc4rKY3jL02Vb7QmRMDs1SigqR4CXAfKYQ==",
        {
            "dist/ort.wasm.bundle.min.mjs": "vendor/onnxruntime.mjs",
            "dist/ort-wasm-simd-threaded.wasm": "vendor/onnxruntime.wasm",
        },
    ),
    Package(
        "@huggingface/tokenizers",
        "0.2.0",
        "sha512-LidMHe1FpcSYH4vcSjXooda34pC0M8m1gmDOv7SQi6Iv+ib1zX7J3sHBCC9/3FPCkn2k1b55FneVqMRxrr99pg==",
        {"dist/tokenizers.min.mjs": "vendor/tokenizers.mjs", "LICENSE": "vendor/LICENSE-Apache-2.0.txt"},
    ),
)


def vendored() -> dict[str, bytes]:
    """Every file of the packages that the page needs, by its place beside the page; fetched once, then cached.

    Raises:
        UserError: npm is missing, cannot fetch a package, or fetches something else.
    """
    files: dict[str, bytes] = {}
    for package in PACKAGES:
        archive = _archive(package)
        with tarfile.open(fileobj=io.BytesIO(archive)) as opened:
            for inside, beside in package.files.items():
                member = opened.extractfile(f"package/{inside}")
                assert member is not None
                files[beside] = member.read()
    return files


def _archive(package: Package) -> bytes:
    if package.cache_file.is_file() and integrity(archive := package.cache_file.read_bytes()) == package.integrity:
        return archive
    archive = fetch(package)
    if integrity(archive) != package.integrity:
        raise UserError(
            f"npm fetched another {package.name} {package.version} than the one pinned in e2ed2/web/packages.py: "
            "ask npm's registry itself, not a mirror, and run the same command again."
        )
    package.cache_file.parent.mkdir(parents=True, exist_ok=True)
    partial = package.cache_file.with_suffix(".partial")
    partial.write_bytes(archive)
    partial.replace(package.cache_file)
    return archive


def fetch(package: Package) -> bytes:
    """The package as `npm pack` fetches it. Raises UserError: npm is missing, or cannot fetch it."""
    npm = shutil.which("npm")
    if npm is None:
        raise UserError(
            f"The page runs on {package.name}, which npm fetches, once: install Node.js, which has npm "
            "(https://nodejs.org), and run the same command again."
        )
    with tempfile.TemporaryDirectory() as folder:
        wanted = f"{package.name}@{package.version}"
        command = [npm, "pack", wanted, "--pack-destination", folder, "--silent", "--fetch-retries", "1"]
        try:
            done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE)
        except subprocess.TimeoutExpired:
            done = None
        archives = list(Path(folder).glob("*.tgz"))
        if done is None or done.returncode or len(archives) != 1:
            raise UserError(
                f"npm could not fetch {wanted}: see that its registry can be reached (`npm ping`), "
                "and run the same command again."
            )
        return archives[0].read_bytes()


def integrity(archive: bytes) -> str:
    return "sha512-" + base64.b64encode(hashlib.sha512(archive).digest()).decode()
