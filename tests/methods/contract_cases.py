"""Which configurations the contract is tested on, and what each method owes it by name."""

from __future__ import annotations

from typing import Any

SMALL = {
    "acgan": {"batch_size": 4},
    "cogan": {"batch_size": 3, "translation_steps": 3},
    "discogan": {"batch_size": 3},
    "stargan": {"batch_size": 4},
    "gan": {"batch_size": 3},
    "vaegan": {"batch_size": 3},
    "gatys": {"batch_size": 2, "translation_steps": 2},
}
"""Options for methods whose papers take hundreds of images a step, or minutes to translate."""
VARIANTS: dict[str, list[dict[str, Any]]] = {
    "acgan": [
        {"gan_loss": "log", "size": 64, "width": 2},
        {"z_size": 7, "size": 24},
        {"gan_loss": "hinge"},
    ],
    "bigan": [
        {"buffer_size": 1, "batch_size": 2},
        {"gan_loss": "log", "discriminator": "image"},
        {"gan_loss": "hinge"},
    ],
    "cogan": [{"own_layers": 1}, {"own_layers": 3, "z_size": 7}],
    "cut": [
        {"nce_y_weight": 0.0, "is_flip_equivariant": True, "batch_size": 2},
        {"discriminator": "image", "nce_x_weight": 0.0, "patches": 16},
    ],
    "cyclegan": [
        {"buffer_size": 2},
        {"generator": "unet", "identity_weight": 0.5},
        {"discriminator": "image"},
        {"discriminator": "1x1", "gan_loss": "log-saturating"},
        {"cycle_loss": "adversarial", "batch_size": 2},
        {"discriminators": 3, "gan_loss": "log", "width": 2},
        {"cycle": "forward"},
        {"gan_weight": 0.0},
        {"gan_loss": "hinge", "discriminator": "16x16"},
    ],
    "discogan": [
        {"batch_size": 1, "matching_rate": 0.0},
        {"bottleneck": 0, "generator_steps": 1, "curriculum": 0.5},
    ],
    "dualgan": [
        {"critic_steps": 1, "dropout": 0.0, "batch_size": 2},
        {"discriminator": "image", "clip": 0.1},
    ],
    "feature_gan": [
        {"gan_loss": "log", "refiner_steps": 1, "buffer_size": 1, "feature_layer": "stem"},
        {"gan_loss": "hinge", "feature_layer": "stem"},
    ],
    "gan": [
        {"discriminator_steps": 2, "gan_loss": "log-saturating"},
        {"z_size": 7, "size": 16},
        {"gan_loss": "hinge"},
    ],
    "gatys": [{"start": "noise", "content_layer": "stage2"}],
    "pix2pix": [
        {"is_conditional": False, "buffer_size": 1, "batch_size": 2},
        {"generator": "resnet", "gan_loss": "lsgan"},
        {"dropout": 0.0, "discriminator": "image"},
        {"l1_weight": 0.0},
        {"gan_weight": 0.0},
        {"gan_loss": "hinge"},
    ],
    "simgan": [
        {"gan_loss": "log", "refiner_steps": 1, "buffer_size": 1},
        {"discriminator_steps": 2, "batch_size": 2, "buffer_size": 2},
        {"discriminator": "image", "buffer_size": 0},
        {"gan_loss": "hinge"},
    ],
    "stargan": [
        {"critic_steps": 1, "blocks": 1, "batch_size": 3},
        {"reconstruction_weight": 0.0, "critic_steps": 2},
    ],
    "unit": [
        {"shared_layers": 0},
        {"shared_layers": 4, "gan_loss": "lsgan", "batch_size": 2},
        {"cycle_weight": 0.0, "cycle_kl_weight": 0.0, "gan_loss": "log-saturating"},
        {"gan_weight": 0.0},
        {"gan_loss": "hinge"},
    ],
    "unit_adaptation": [
        {"gan_weight": 0.0},
        {"classification_weight": 0.0, "batch_size": 3},
        {
            "feature_loss": "l2",
            "invert_target": True,
            "invert_source": True,
            "coordinates": False,
            "grey": "target",
        },
    ],
    "vaegan": [
        {"gan_loss": "log", "z_size": 5, "size": 24},
        {"similarity_weight": 0.0},
        {"gan_loss": "hinge"},
    ],
}
FALLS = {
    "acgan": "D_S",
    "bigan": "D",
    "cogan": "D1",
    "cut": "nce",
    "cyclegan": "cycle",
    "discogan": "reconstruction",
    "dualgan": "reconstructed_u",
    "feature_gan": "feature",
    "gan": "D1",
    "pix2pix": "l1",
    "simgan": "self_regularisation",
    "stargan": "reconstruction",
    "unit": "reconstruction",
    "unit_adaptation": "reconstruction",
    "vaegan": "D1",
}
"""The term that falls when a method sees one batch again and again."""
GATHER = ("gatys",)
"""Methods that train nothing: they have no groups, and keep what they see in buffers."""
STEPPED = {
    "acgan": "discriminator",
    "bigan": "discriminator",
    "cogan": "discriminators",
    "feature_gan": "refiners",
    "gan": "discriminators",
    "simgan": "refiners",
    "vaegan": "discriminators",
}
"""The one group that is stepped meanwhile, where the game of two outweighs that term."""
UNTRAINED = {
    ("cyclegan", "gan_weight"): ("D_X", "D_Y"),
    ("pix2pix", "gan_weight"): ("D_X", "D_Y"),
    ("unit", "gan_weight"): ("D1", "D2"),
    ("unit_adaptation", "gan_weight"): (
        "D2", "D_real", "E1", "E2", "E_shared", "E_mu", "E_sigma", "G_shared", "G1", "G2",
    ),
    ("unit_adaptation", "classification_weight"): ("C",),
}  # fmt: skip
"""Parts that an option leaves as they were initialised: no loss reaches them."""
