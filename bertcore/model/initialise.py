"""Initialise: BERT's starting weights, a normal cut at two sigma (chapter 4)."""

from collections.abc import Callable

from torch import nn


def initialise(sigma: float) -> Callable[[nn.Module], None]:
    """A function for `Module.apply` that sets a module's own starting weights.

    google-research/bert modeling.py, `create_initializer`: values beyond two sigma
    are drawn again, so the real standard deviation is 0.88 sigma. torch's own
    `trunc_normal_` takes its bounds in absolute units; its default of 2 cuts
    nothing. Biases start at 0, the gains of LayerNorm at 1.
    """

    def set_weights(module: nn.Module) -> None:
        if isinstance(module, (nn.Linear, nn.Embedding)):
            nn.init.trunc_normal_(module.weight, std=sigma, a=-2 * sigma, b=2 * sigma)
        if isinstance(module, nn.LayerNorm):
            nn.init.ones_(module.weight)
        if isinstance(getattr(module, "bias", None), nn.Parameter):
            nn.init.zeros_(module.bias)

    return set_weights
