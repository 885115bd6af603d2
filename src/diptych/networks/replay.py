"""A buffer of generated images (Shrivastava et al. 2016, Sec. 2.3)."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn


class ReplayBuffer(nn.Module):
    """Earlier images of a generator, for its discriminator to see again.

    As in Zhu et al. 2017, Sec. 4. Until `capacity` images are stored, each image is stored and
    returned. From then on, with probability 1/2, an image replaces a random stored image, and
    that older image is returned. With capacity 0, every image is returned as it is. The stored
    images are part of `state_dict`, so a resumed run shows D the same images.

    Raises:
        ValueError: `capacity` is negative.
    """

    def __init__(self, capacity: int) -> None:
        super().__init__()
        if capacity < 0:
            raise ValueError(f"a replay buffer holds 0 or more images, not {capacity}")
        self.capacity = capacity
        self.images: list[Tensor] = []

    @torch.no_grad()
    def exchange(self, images: Tensor, rng: torch.Generator) -> Tensor:
        """Return as many fresh or older images, detached, as the (B, C, H, W) fresh `images`."""
        if self.capacity == 0:
            return images.detach()
        return torch.stack([self._exchange_one(image, rng) for image in images.detach()])

    @torch.no_grad()
    def mix(self, images: Tensor, rng: torch.Generator) -> Tensor:
        """Return half of the (B, C, H, W) fresh `images` and as many older ones, detached.

        As in Shrivastava et al. 2016, Sec. 2.3: the result has B/2 fresh images and B/2 random
        stored images. Then B/2 random stored images are replaced by fresh ones. If B is odd, a
        random draw decides which half is larger. Until `capacity` images are stored, all
        returned images are fresh, and they are stored.
        """
        images = images.detach()
        room = self.capacity - len(self.images)
        if self.capacity == 0 or room > 0:
            self.images += [image.clone() for image in images[: max(room, 0)]]
            return images
        older = (len(images) + int(torch.randint(2, (), generator=rng).item())) // 2
        older = min(older, self.capacity)
        shown = torch.randperm(self.capacity, generator=rng)[:older].tolist()
        replaced = torch.randperm(self.capacity, generator=rng)[:older].tolist()
        kept, rest = images[: len(images) - older], images[len(images) - older :]
        mixed = torch.cat([kept, *(self.images[place][None].to(images) for place in shown)])
        for place, image in zip(replaced, rest, strict=True):
            self.images[place] = image.clone()
        return mixed

    def _exchange_one(self, image: Tensor, rng: torch.Generator) -> Tensor:
        if len(self.images) < self.capacity:
            self.images.append(image.clone())
            return image
        if torch.rand((), generator=rng).item() < 0.5:
            return image
        place = int(torch.randint(self.capacity, (), generator=rng).item())
        older = self.images[place].to(image)
        self.images[place] = image.clone()
        return older

    def get_extra_state(self) -> dict[str, Any]:
        return {"images": list(self.images)}

    def set_extra_state(self, state: dict[str, Any]) -> None:
        self.images = list(state["images"])
