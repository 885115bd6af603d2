"""Small files of a bench that was never run."""

from __future__ import annotations

from typing import Any

from diptych.bench.place import Place, read_results, run_name, write_json, write_result

TRAINED = {"method": "cyclegan", "config": {}, "run": {}, "data": "f"}
DATA = {
    "source": "sample:earth-climate",
    "size": 32,
    "fingerprint": "f",
    "domains": ["climate", "aerial"],
    "label_domains": ["climate"],
    "is_paired": True,
}
SPEED = {
    "trained": TRAINED,
    "seconds_per_step": 0.05,
    "peak_gib": 0.5,
    "parameters": 2_500_000,
    "threads": 2,
    "machine": "a machine",
    "parts": ["climate→aerial", "aerial→climate"],
    "data": DATA,
}
Entry = dict[str, Any]


def entry(label: str, seeds: list[int], *groups: str) -> Entry:
    row = label.lower().replace(" ", "-")
    return {
        "label": label, "row": row, "method": "cyclegan", "groups": list(groups or ("systems",)),
        "seeds": seeds, "minutes": None, "trained": TRAINED, "data": "f",
    }  # fmt: skip


def scores(accuracy: float, **more: Any) -> dict[str, Any]:
    kid = {"kid": {"mean": 1 - accuracy}, "kid_of_real": {"mean": 0.0125}, "images": 203}
    labels = {"pixel_accuracy": accuracy, "class_accuracy": accuracy / 2, "mean_iou": accuracy / 4}
    return {
        "features": "efficientnet-lite0",
        "climate→aerial": kid | more,
        "aerial→climate": kid | labels,
    }


def result(seed: int, ends: float, half: float = 0.4, **more: Any) -> dict[str, Any]:
    return {
        "seed": seed, "trained": TRAINED, "version": "0.1.0", "torch": "2.13.0",
        "commit": "c" * 40, "has_uncommitted_changes": False, "machine": "a machine",
        "steps": 8, "threads": 2, "device": "cpu", "precision": "fp32", "data": DATA,
        "pictures": ["climate→aerial", "aerial→climate"],
        "scores": {"25": scores(0.2), "50": scores(half), "100": scores(ends, **more)},
    }  # fmt: skip


def forget(place: Place, row: str, seed: int) -> None:
    """As if the run had not been done."""
    known = read_results(place)
    del known[run_name(row, seed)]
    write_json(place.results, known)


def fill(place: Place) -> Place:
    """CycleGAN with three seeds, CoGAN of which one diverged, pix2pix not done yet."""
    rows = [entry("CoGAN", [0, 1]), entry("CycleGAN", [0, 1, 2], "systems", "ablations"),
            entry("pix2pix", [0])]  # fmt: skip
    plan = {"title": "A <trial>", "rows": rows, "left_out": {"gatys": "no styles"}}
    write_json(place.plan, plan)
    write_json(place.speed, {row["row"]: SPEED for row in rows})
    write_result(place, "cogan", 0, result(0, 0.41))
    failed = {"seed": 1, "trained": TRAINED, "diverged": "G is nan at step 7"}
    write_result(place, "cogan", 1, failed)
    for seed, accuracy in enumerate((0.5, 0.6, 0.7)):
        write_result(place, "cyclegan", seed, result(seed, accuracy))
    return place
