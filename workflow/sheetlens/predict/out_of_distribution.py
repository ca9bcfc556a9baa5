"""How far a sheet is from those a model was trained on: what is no sheet at all should be far.

The network's own view is measured: mean and spread of every channel of every convolution, in all its layers, since
what a non-sheet lacks is often lost before the last one: on the demo's lycophytes the last hidden layer flags
one strange picture in twelve, these flag all. Of the pretrained backbone it is the middle, for the same reason: on real
sheets (piperaceae) its blocks of 16 places flag nine in ten of other plants' colour photographs, and one in ten sheets
of unseen herbaria; at a limit where they flag as many of these as all features together do, one in 27, still nine in
ten, and those a quarter. The distance is Mahalanobis' with a shrunken covariance. Lee et al. 2018, NeurIPS
(arXiv 1807.03888) take means of all layers; the covariance is that of Ledoit & Wolf 2004, Journal of Multivariate
Analysis 88: 365-411.
"""

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

# Standard deviation of a feature that is taken for granted, in units of the batch normalisation: a channel that was
# silent on all sheets of the training must not outweigh all others when it whispers.
NOISE = 1e-3
Features = NDArray[np.floating]


@threadpool_limits.wrap(limits=1)  # more threads add in another order: other bits on other numbers of cores
def fit(features: Features, first: int | None = None) -> dict[str, NDArray[np.float32]]:
    """What `distance` needs, from features of the training part, shape (n, d).

    `centre` and `spread`, shape (d,), and `whitening`, shape (m, m), of the `first` m features or all d: after it they
    have no correlations and variances of 1 / m, but for the shrinkage.
    """
    values = features.astype(np.float64)
    centre, spread = values.mean(axis=0), np.hypot(values.std(axis=0), NOISE)
    known = {"centre": centre, "spread": spread}
    values, spread = ((values - centre) / spread)[:, :first], spread[:first]
    covariance = _shrunken_covariance(values) + np.diag((NOISE / spread) ** 2)
    inverse = np.linalg.inv(np.linalg.cholesky(covariance))
    known["whitening"] = inverse / spread / np.sqrt(len(spread))
    return {name: value.astype(np.float32) for name, value in known.items()}


def _shrunken_covariance(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Covariance of centred values, shape (n, d), drawn towards a multiple of the identity as far as n is small."""
    n, d = values.shape
    sample = values.T @ values / n
    target = np.trace(sample) / d * np.eye(d)
    distance = ((sample - target) ** 2).sum()
    noise = ((np.square(values).sum(axis=1) ** 2).mean() - (sample**2).sum()) / n
    share = min(1.0, noise / distance) if distance else 1.0
    return share * target + (1 - share) * sample


def distance(features: Features, known: dict[str, NDArray[np.float32]]) -> NDArray[np.float64]:
    """Distance of each sheet from the training part, float64, shape (n,); about 1 for a sheet like those in it."""
    whitening = known["whitening"].astype(np.float64)
    away = (features.astype(np.float64) - known["centre"])[:, : len(whitening)]
    return np.sqrt(np.square(away @ whitening.T).sum(axis=1))
