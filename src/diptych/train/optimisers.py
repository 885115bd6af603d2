"""One optimiser a group, its learning rate following the budget."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from diptych.types import Group


def scheduled_lr(group: Group, fraction: float) -> float:
    """Constant until `decay_from` of the budget, then linear to 0 at its end."""
    if fraction <= group.decay_from or group.decay_from >= 1:
        return group.lr
    return group.lr * (1 - fraction) / (1 - group.decay_from)


class GroupOptimiser:
    """Steps the parameters of one group, and no others."""

    def __init__(self, group: Group, *, is_scaled: bool = False) -> None:
        """`is_scaled` scales the loss, as float16's small gradients need."""
        self.group = group
        self.parameters = list(_unique(group.modules))
        self.optimiser = _make(group, self.parameters)
        device = self.parameters[0].device
        self.scaler = torch.amp.GradScaler(device.type, enabled=is_scaled)

    def minimise(self, loss: Tensor) -> None:
        """One step down `loss`, a () scalar whose graph is freed."""
        self.optimiser.zero_grad(set_to_none=True)
        # Only these get gradients: D is neither differentiated nor touched in G's turn.
        self.scaler.scale(loss).backward(inputs=self.parameters)  # type: ignore[no-untyped-call]
        self.scaler.step(self.optimiser)
        self.scaler.update()

    def follow(self, fraction: float) -> float:
        """Set the rate for this share of the budget; returns it."""
        rate = scheduled_lr(self.group, fraction)
        for group in self.optimiser.param_groups:
            group["lr"] = rate
        return rate

    def state_dict(self) -> dict[str, Any]:
        return {"optimiser": self.optimiser.state_dict(), "scaler": self.scaler.state_dict()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        self.optimiser.load_state_dict(state["optimiser"])
        self.scaler.load_state_dict(state["scaler"])


def _unique(modules: Iterable[nn.Module]) -> Iterable[nn.Parameter]:
    """Every parameter once, though layers may be shared."""
    return {id(p): p for module in modules for p in module.parameters()}.values()


def _make(group: Group, parameters: list[nn.Parameter]) -> torch.optim.Optimizer:
    if group.optimiser == "adam":
        # One kernel for all of a tensor's arithmetic: the same mathematics, memory read once.
        is_fused = parameters[0].device.type in ("cpu", "cuda", "mps")
        return torch.optim.Adam(parameters, lr=group.lr, betas=group.betas, fused=is_fused)
    if group.optimiser == "rmsprop":
        return torch.optim.RMSprop(parameters, lr=group.lr)
    return torch.optim.SGD(parameters, lr=group.lr, momentum=group.betas[0])
