"""How far a sheet is from those a model was trained on: what is no sheet at all should be far.

The network's own view is measured: mean and spread of every channel of every convolution, in all its layers, since
what a non-sheet lacks is often lost before the last one: on the demo's lycophytes the last hidden layer flags
one strange picture in twelve, these flag all. The distance is Mahalanobis' with a shrunken covariance.
Lee et al. 2018, NeurIPS (arXiv 1807.03888) take means of all layers; the covariance is that of Ledoit & Wolf 2004,
Journal of Multivariate Analysis 88: 365-411.
"""

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

# Standard deviation of a feature that is taken for granted, in units of the batch normalisation: a channel that was
# silent on all sheets of the training must not outweigh all others when it whispers.
NOISE = 1e-3
MANY = 1024  # features of which a covariance is made: more take seconds and tens of megabytes
DIRECTIONS = 512  # that are kept of more features
LEAST = 1e-3  # of the covariance, that is drawn to the identity: no direction is taken to be free of any spread
Features = NDArray[np.floating]


@threadpool_limits.wrap(limits=1)  # more threads add in another order: other bits on other numbers of cores
def fit(features: Features) -> dict[str, NDArray[np.float32]]:
    """What `distance` needs, from features of the training part, shape (n, d).

    `centre`, shape (d,), and `whitening`, shape (d, d), after which the training part has no correlations and
    variances of 1 / d, but for the shrinkage; of more than MANY features, see `_in_few_directions`.
    """
    values = features.astype(np.float64)
    centre, spread = values.mean(axis=0), np.hypot(values.std(axis=0), NOISE)
    if features.shape[1] > MANY:
        return {"centre": centre.astype(np.float32), **_in_few_directions((values - centre) / spread, spread)}
    covariance = _shrunken_covariance((values - centre) / spread) + np.diag((NOISE / spread) ** 2)
    inverse = np.linalg.inv(np.linalg.cholesky(covariance))
    whitening = inverse / spread / np.sqrt(features.shape[1])
    return {"centre": centre.astype(np.float32), "whitening": whitening.astype(np.float32)}


def _in_few_directions(values: NDArray[np.float64], spread: NDArray[np.float64]) -> dict[str, NDArray[np.float32]]:
    """The same distance for more features than a covariance should be made of.

    The shrunken covariance differs from a multiple of the identity only in as many directions as there are sheets, of
    which the DIRECTIONS of most variance are kept and the others evened out. `scale`, shape (d,), brings features to
    one unit; `directions`, shape (d, r), are orthonormal in it, `weights`, shape (r,), what a step along each of them
    counts, squared, and `beside`, shape (1,), what one beside them all does.
    """
    n, d = values.shape
    _, scales, right = np.linalg.svd(values, full_matrices=False)
    variances = scales**2 / n
    mean, squares = variances.sum() / d, (variances**2).sum()
    noise = ((np.square(values).sum(axis=1) ** 2).mean() - squares) / n
    unlike = squares - d * mean**2  # squared distance of the covariance from its target
    share = min(1.0, max(LEAST, noise / unlike)) if unlike else 1.0
    kept = min(len(variances), DIRECTIONS)
    level = share * mean + (1 - share) * variances[kept:].sum() / (d - kept)
    weights = 1 / (share * mean + (1 - share) * variances[:kept]) / d
    found = {"scale": 1 / spread, "directions": right[:kept].T, "weights": weights, "beside": np.array([1 / level / d])}
    return {name: np.ascontiguousarray(value, dtype=np.float32) for name, value in found.items()}


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
    away = features.astype(np.float64) - known["centre"]
    if "whitening" in known:
        return np.sqrt(np.square(away @ known["whitening"].astype(np.float64).T).sum(axis=1))
    scaled, directions = away * known["scale"], known["directions"].astype(np.float64)
    along = scaled @ directions
    beside = scaled - along @ directions.T  # as a vector: the difference of two large sums would be noise
    return np.sqrt(np.square(along) @ known["weights"] + known["beside"][0] * np.square(beside).sum(axis=1))
