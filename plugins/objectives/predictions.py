"""One objective for each prediction: eps, x0, v, score, velocity and EDM's preconditioned output."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated

from annotated_types import Gt

from ...core.diffusion import prediction
from ...core.diffusion.objective import PredictionObjective
from .densities import DensityName
from .densities import density as density_named
from .weightings import WeightingName
from .weightings import weighting as weighting_named

__all__ = ["edm", "eps", "score", "v", "velocity", "x0"]

Positive = Annotated[float, Gt(0)]

_ARGUMENTS = """
    Args:
        weighting: which errors matter: "uniform", "snr", "min-snr", "p2", "edm", "likelihood".
        density: at which times training looks: "uniform", "logit-normal", "log-normal", "importance".
        gamma: cap of the signal-to-noise ratio in "min-snr", 5 if omitted; exponent in "p2", 1 if omitted.
        k: the signal-to-noise ratio that "p2" adds.
        sigma_data: standard deviation of the data in the weighting "edm".
        mean: centre of a normal density; its usual value if omitted.
        std: width of a normal density; its usual value if omitted.
"""


def _regression(
    name: str, predicted: prediction.Prediction, meaning: str, source: str
) -> Callable[..., PredictionObjective]:
    def make(
        weighting: WeightingName = "uniform",
        density: DensityName = "uniform",
        gamma: Positive | None = None,
        k: Positive = 1.0,
        sigma_data: Positive = 0.5,
        mean: float | None = None,
        std: Positive | None = None,
    ) -> PredictionObjective:
        weights = weighting_named(weighting, gamma, k, sigma_data)
        return PredictionObjective(predicted, weights, density_named(density, mean, std))

    make.__name__ = make.__qualname__ = name
    make.__doc__ = f"{meaning}\n{_ARGUMENTS}\n    Source: {source}\n"
    return make


eps = _regression(
    "eps",
    prediction.EPS,
    "Predict the noise; unweighted this is DDPM's simple loss.",
    "Ho et al. 2020, arXiv 2006.11239, equation 14.",
)
x0 = _regression(
    "x0",
    prediction.X0,
    "Predict the clean item.",
    "Ho et al. 2020, arXiv 2006.11239, section 3.2.",
)
v = _regression(
    "v",
    prediction.V,
    "Predict ``v = alpha * eps - sigma * x0``.",
    "Salimans and Ho 2022, arXiv 2202.00512, appendix D.",
)
score = _regression(
    "score",
    prediction.SCORE,
    "Predict the score ``-eps / sigma``; 'uniform' weighs its squared error by sigma**2, as the paper does.",
    "Song et al. 2021, arXiv 2011.13456, equation 7.",
)
velocity = _regression(
    "velocity",
    prediction.VELOCITY,
    "Predict ``dx_t / dt = d_alpha * x0 + d_sigma * eps``: flow matching.",
    "Lipman et al. 2023, arXiv 2210.02747, equation 14.",
)


def edm(
    weighting: WeightingName = "uniform",
    density: DensityName = "log-normal",
    gamma: Positive | None = None,
    k: Positive = 1.0,
    mean: float | None = None,
    std: Positive | None = None,
    sigma_data: Positive = 0.5,
) -> PredictionObjective:
    """Predict the output F of EDM's preconditioning; "uniform" on F is EDM's own weighting of the loss.

    Args:
        weighting: which errors matter: "uniform", "snr", "min-snr", "p2", "edm", "likelihood".
        density: at which times training looks; EDM's is "log-normal".
        gamma: cap of the signal-to-noise ratio in "min-snr", 5 if omitted; exponent in "p2", 1 if omitted.
        k: the signal-to-noise ratio that "p2" adds.
        mean: centre of a normal density; EDM's -1.2 if omitted.
        std: width of a normal density; EDM's 1.2 if omitted.
        sigma_data: standard deviation of the data.

    Source: Karras et al. 2022, arXiv 2206.00364, equation 8 and table 1.
    """
    predicted, weights = prediction.edm(sigma_data), weighting_named(weighting, gamma, k, sigma_data)
    return PredictionObjective(predicted, weights, density_named(density, mean, std))
