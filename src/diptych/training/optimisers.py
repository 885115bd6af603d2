"""One optimiser a group, its learning rate following the budget."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from diptych.training.ranks import Ranks
from diptych.types import Group


def scheduled_lr(group: Group, fraction: float) -> float:
    """Constant until `decay_from` of the budget, then linear to 0 at its end."""
    if fraction <= group.decay_from or group.decay_from >= 1:
        return group.lr
    return group.lr * (1 - fraction) / (1 - group.decay_from)


class GroupOptimiser:
    """Steps the parameters of one group, and no others."""

    def __init__(
        self, group: Group, *, is_scaled: bool = False, ranks: Ranks | None = None
    ) -> None:
        """`is_scaled` scales the loss, as float16's small gradients need."""
        self._ranks = ranks or Ranks()
        self.group = group
        self.parameters = list(_unique(group.modules))
        # Optimisers work element by element, and their kernels copy what is not in order.
        self._in_order = [nn.Parameter(_in_order(p.detach(), p)) for p in self.parameters]
        self.optimiser = _make(group, self._in_order)
        device = self.parameters[0].device
        self.scaler = torch.amp.GradScaler(device.type, enabled=is_scaled)

    def minimise(self, loss: Tensor) -> None:
        """One step down `loss`, a () scalar whose graph is freed."""
        for parameter in self.parameters:
            parameter.grad = None
        # Only these get gradients: D is neither differentiated nor touched in G's turn.
        self.scaler.scale(loss).backward(inputs=self.parameters)  # type: ignore[no-untyped-call]
        gradients = [p.grad for p in self.parameters if p.grad is not None]
        self._ranks.average(gradients)
        for ordered, parameter in zip(self._in_order, self.parameters, strict=True):
            gradient = parameter.grad
            ordered.grad = None if gradient is None else _in_order(gradient, parameter)
        self.scaler.step(self.optimiser)
        self.scaler.update()

    def follow(self, fraction: float) -> float:
        """Set the rate for this share of the budget; returns it."""
        rate = scheduled_lr(self.group, fraction)
        for group in self.optimiser.param_groups:
            group["lr"] = rate
        return rate

    def state_dict(self) -> dict[str, Any]:
        """In the parameters' shapes, whatever their layout."""
        state = self.optimiser.state_dict()
        state["state"] = self._reshaped(state["state"], _as_named)
        return {"optimiser": state, "scaler": self.scaler.state_dict()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        optimiser = dict(state["optimiser"])
        optimiser["state"] = self._reshaped(
            optimiser["state"], lambda value, p: _in_order(value, p).contiguous()
        )
        self.optimiser.load_state_dict(optimiser)
        self.scaler.load_state_dict(state["scaler"])

    def _reshaped(
        self, states: Mapping[int, Mapping[str, Any]], reshape: Callable[[Tensor, Tensor], Tensor]
    ) -> dict[int, dict[str, Any]]:
        return {
            i: {
                name: reshape(value, self.parameters[i])
                if isinstance(value, Tensor) and value.ndim
                else value
                for name, value in moments.items()
            }
            for i, moments in states.items()
        }


def _in_order(tensor: Tensor, parameter: Tensor) -> Tensor:
    """A view whose dimensions are in the order of the strides of `parameter`, of equal shape."""
    return tensor if parameter.is_contiguous() else tensor.permute(0, 2, 3, 1)


def _as_named(tensor: Tensor, parameter: Tensor) -> Tensor:
    """The inverse of `_in_order`."""
    return tensor if parameter.is_contiguous() else tensor.permute(0, 3, 1, 2)


def _unique(modules: Iterable[nn.Module]) -> Iterable[nn.Parameter]:
    """Every parameter once, though layers may be shared."""
    return {id(p): p for module in modules for p in module.parameters()}.values()


def _make(group: Group, parameters: list[nn.Parameter]) -> torch.optim.Optimizer:
    if group.optimiser == "adam":
        # One kernel for all of a tensor's arithmetic: the same mathematics, memory read once.
        is_fused = parameters[0].device.type in ("cpu", "cuda", "mps")
        return torch.optim.Adam(
            parameters,
            lr=group.lr,
            betas=group.betas,
            weight_decay=group.weight_decay,
            fused=is_fused,
        )
    first, second = group.betas
    if group.optimiser == "rmsprop":
        return torch.optim.RMSprop(
            parameters, lr=group.lr, alpha=second, weight_decay=group.weight_decay
        )
    return torch.optim.SGD(parameters, lr=group.lr, momentum=first, weight_decay=group.weight_decay)
