"""What a page says of the machine and of time."""

from __future__ import annotations

import os
import platform
from pathlib import Path

import torch

from diptych.errors import counted


def describe_machine() -> str:
    """The processor, its cores, and the graphics card if torch can use one."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    text = f"{_processor()}, {counted(cores or 1, 'core')}"
    if torch.cuda.is_available():
        return f"{torch.cuda.get_device_name()} ({text})"
    return text


def duration(seconds: float) -> str:
    """In the two largest units: 42 s, 5 min 2 s, 3 h 20 min."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text("utf-8", "replace").splitlines()
    except OSError:  # not Linux
        lines = []
    for line in lines:
        name, _, value = line.partition(":")
        if name.strip() == "model name" and value.strip():
            return value.split("@")[0].strip()
    return platform.processor() or platform.machine() or "unknown processor"
