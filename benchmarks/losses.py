"""Every method's losses and weights over 20 steps, bit for bit, before and after a change.

    python -m benchmarks.losses --out before.json
    python -m benchmarks.losses --out after.json --against before.json

A refactor changes none of them. The figures hold on one machine and one version of
PyTorch, so none are committed.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import tempfile
from pathlib import Path
from typing import Any

import torch

import diptych
from diptych.testing.cases import TINY
from tests.methods.contract_cases import GATHER, SMALL, VARIANTS

STEPS = 20
SIZES = (32, 64)
"""Pixels a side that the samples have; variants of other sizes are taken at the first."""
DATA = {"unit_adaptation": "sample:digits-small", "stargan": "sample:earth-styles"}


def trained(method: str, options: dict[str, Any], folder: Path) -> dict[str, Any]:
    """The losses of each step, as exact hexadecimal floats, and a digest of all weights."""
    run = diptych.train(
        method,
        **{
            "data": DATA.get(method, "sample:earth-climate"),
            "steps": STEPS,
            "seed": 3,
            "ema": 0.99,
            "precision": "fp32",
            "device": "cpu",
            "threads": 1,
            "workers": 0,
            "preview_every": STEPS,
            "out": str(folder),
            **({} if method in GATHER else TINY),
            **SMALL.get(method, {}),
            **options,
            "size": options["size"] if options.get("size") in SIZES else SIZES[0],
        },
    )
    lines = (run.folder / "metrics.jsonl").read_text(encoding="utf-8").splitlines()
    state = torch.load(run.folder / "state.pt", weights_only=True)["method"]
    digest = hashlib.sha256()
    for name, weight in sorted(state.items()):
        digest.update(name.encode() + weight.contiguous().numpy().tobytes())
    return {"losses": [_exact(json.loads(line)) for line in lines], "weights": digest.hexdigest()}


def _exact(line: dict[str, Any]) -> dict[str, Any]:
    flat = {k: v for k, v in line.items() if k in ("step", "losses")}
    return {"step": flat["step"], **{k: float(v).hex() for k, v in flat["losses"].items()}}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--against", type=Path)
    options = parser.parse_args()
    found: dict[str, Any] = {}
    for method, variants in VARIANTS.items():
        for variant in [{}, *variants]:
            name = " ".join([method, *(f"{k}={v}" for k, v in variant.items())])
            with tempfile.TemporaryDirectory() as folder:
                found[name] = trained(method, variant, Path(folder) / "run")
            print(f"{name}: {found[name]['weights'][:16]}", flush=True)
    options.out.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    if options.against is None:
        return 0
    before = json.loads(options.against.read_text(encoding="utf-8"))
    differ = sorted(name for name in before if before[name] != found.get(name))
    new = len(found.keys() - before)
    same = f"{len(before) - len(differ)} of {len(before)} have the same losses and weights"
    print(f"{same}; {new} are new", *differ, sep="\n  differs: ")
    return 1 if differ else 0


if __name__ == "__main__":
    raise SystemExit(main())
