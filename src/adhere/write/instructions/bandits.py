"""Which point to try next: the neural bandits of INSTINCT, and the two baselines that it is held against.

NeuralUCB (Zhou et al. 2020, arXiv 1911.04462, as in Lin et al. 2024, section 3.2): a network of one hidden layer
predicts the score from the writer's hidden state; the point with the highest mu + sigma is tried. Per step the network
starts again from the same weights, is trained on all scores so far, and

    sigma(x)^2 = sum_j lambda * nu * g_j(x)^2 / U_j,      U_j = lambda + sum over tried points of g_j^2,

with g the gradient of the output by every weight: the repository's diagonal form, with nu inside the root and no
division by the width (the paper has the full matrix, nu outside, and the width). The gradients are in closed form.

Where the network starts, `start`:
- "repository": all weights from N(0, 1), inputs standardised, scores as they are. With 576 inputs its first outputs
  have a standard deviation in the hundreds, which a thousand small steps remove at the points seen and nowhere else:
  what is chosen then hardly depends on the scores.
- "symmetric", the default: as NeuralUCB's analysis assumes, inputs of length 1 and paired weights that cancel, so that
  every output is 0 before training; scores are standardised, so that nu means the same in every unit.

Differs from the repository in both: no choice before the first training, and U begins with the gradients of the initial
points. Like there, U sums gradients taken at different weights.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, NamedTuple, Protocol

if TYPE_CHECKING:
    import numpy as np

__all__ = ["Bandit", "Choice", "Fit", "GaussianProcess", "Network", "NeuralBandit", "RandomChoice", "State"]

Start = Literal["symmetric", "repository"]

HIDDEN = 100
LAMBDA = 0.1
NU = 1.0
STEPS = 1000
RATE = 1e-3
BETAS = (0.9, 0.999)  # Adam's
EPSILON = 1e-8
TINY = 1e-9


class Choice(NamedTuple):
    """A point, and what was expected of it (None where the chooser expects nothing)."""

    point: int
    mu: float | None = None
    sigma: float | None = None


class State(NamedTuple):
    """What a bandit knows.

    Attributes:
        z: (points, dim) coordinates of all points.
        hidden: (points, width) features of all points.
        seen: Points tried so far, in order.
        scores: Their scores.
        pool: Points to choose from.
        rng: For what is random.
    """

    z: np.ndarray
    hidden: np.ndarray
    seen: list[int]
    scores: list[float]
    pool: np.ndarray
    rng: np.random.Generator


class Bandit(Protocol):
    """Chooses points one after the other; made anew for every search."""

    name: str

    def choose(self, state: State) -> Choice:
        """The next of the pool."""
        ...


class RandomChoice:
    """Any point."""

    name = "random"

    def choose(self, state: State) -> Choice:
        """One of the pool, uniformly."""
        return Choice(int(state.rng.choice(state.pool)))


class GaussianProcess:
    """Expected improvement under a Gaussian process on z (what InstructZero does, without its instruction kernel)."""

    name = "gp"

    def choose(self, state: State) -> Choice:
        """The point of the highest expected improvement."""
        import warnings

        import numpy as np
        from scipy.stats import norm
        from sklearn.gaussian_process import GaussianProcessRegressor
        from sklearn.gaussian_process.kernels import ConstantKernel, Matern, WhiteKernel

        kernel = ConstantKernel() * Matern(nu=2.5) + WhiteKernel(0.1)
        model: Any = GaussianProcessRegressor(kernel, normalize_y=True, random_state=0)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # an optimum at a bound of the length scale: nothing to do about it
            model.fit(state.z[state.seen], state.scores)
        mu, sigma = model.predict(state.z[state.pool], return_std=True)
        gain = mu - max(state.scores)
        ratio = gain / np.maximum(sigma, TINY)
        best = int(np.argmax(gain * norm.cdf(ratio) + sigma * norm.pdf(ratio)))
        return Choice(int(state.pool[best]), float(mu[best]), float(sigma[best]))


class NeuralBandit:
    """NeuralUCB, or with `thompson` NeuralTS (which draws from N(mu, sigma) instead of adding sigma).

    Args:
        hidden: Width of the network.
        lam: lambda: regularisation, and where U begins.
        nu: How much exploration.
        start: "symmetric" or "repository", see the module.
        thompson: Draw instead of add.
        seed: Of the network's first weights.
    """

    def __init__(
        self,
        hidden: int = HIDDEN,
        lam: float = LAMBDA,
        nu: float = NU,
        *,
        start: Start = "symmetric",
        thompson: bool = False,
        seed: int = 0,
    ) -> None:
        self.hidden, self.lam, self.nu, self.start, self.thompson, self.seed = hidden, lam, nu, start, thompson, seed
        self.name = "neural_ts" if thompson else "neural_ucb"
        self._first: Network | None = None
        self._sums: Network | None = None

    def choose(self, state: State) -> Choice:
        """The point with the highest bound (or draw)."""
        import numpy as np
        from threadpoolctl import threadpool_limits

        with threadpool_limits(1):  # on threads of a busy machine, products this small are ten times slower
            fit = self.fit(state.hidden, state.seen, state.scores)
            if self._sums is None:
                self._sums = Network.constant(state.hidden.shape[1], self.hidden, self.lam)
                fit.network.add_squared_gradients(fit.inputs(state.hidden[state.seen]), self._sums)
            given = fit.inputs(state.hidden[state.pool])
            mu = fit.network(given)
            sigma = np.sqrt(self.lam * self.nu * fit.network.weighted_squared_gradients(given, self._sums))
            value = state.rng.normal(mu, sigma) if self.thompson else mu + sigma
            best = int(np.argmax(value))
            fit.network.add_squared_gradients(given[best : best + 1], self._sums)
        return Choice(int(state.pool[best]), float(fit.scores(mu[best])), float(sigma[best] * fit.unit))

    def fit(self, features: np.ndarray, seen: list[int], scores: list[float]) -> Fit:
        """The network, trained from its first weights on the points in `seen`."""
        import numpy as np

        symmetric = self.start == "symmetric"
        wanted, known = np.asarray(scores), features[seen]
        centre, unit = (float(wanted.mean()), float(wanted.std()) or 1.0) if symmetric else (0.0, 1.0)
        spread = np.where(known.std(0) > TINY, known.std(0), 1.0) * (np.sqrt(features.shape[1]) if symmetric else 1.0)
        if self._first is None:
            self._first = Network.drawn(features.shape[1], self.hidden, self.seed, self.start)
        blank = Fit(self._first, known.mean(0), spread, centre, unit)
        goal = ((wanted - centre) / unit).astype(np.float32)
        return blank._replace(network=self._first.trained(blank.inputs(known), goal, self.lam / len(seen)))


class Fit(NamedTuple):
    """A trained network, and how features and scores were scaled for it."""

    network: Network
    mean: np.ndarray
    spread: np.ndarray
    centre: float
    unit: float

    def inputs(self, features: np.ndarray) -> np.ndarray:
        """Features as the network takes them."""
        import numpy as np

        return ((features - self.mean) / self.spread).astype(np.float32)

    def scores(self, outputs: np.ndarray) -> np.ndarray:
        """The network's outputs as scores."""
        return outputs * self.unit + self.centre


class Network(NamedTuple):
    """f(x) = w2 . relu(W1 x + b1) + b2, in numpy; also any numbers of the same shapes (sums of squared gradients)."""

    w1: np.ndarray  # (inputs, width)
    b1: np.ndarray  # (width,)
    w2: np.ndarray  # (width,)
    b2: np.ndarray  # (1,)

    @classmethod
    def drawn(cls, inputs: int, width: int, seed: int, start: Start = "repository") -> Network:
        """First weights: all from N(0, 1), or so that every output is 0; see the module."""
        import numpy as np

        rng = np.random.default_rng(seed)
        drawn = cls(*(rng.standard_normal(shape, np.float32) for shape in ((inputs, width), width, width, 1)))
        if start == "repository":
            return drawn
        half = width // 2
        w1 = np.sqrt(np.float32(2)) * np.tile(drawn.w1[:, :half], 2)
        b1, w2 = np.zeros(2 * half, np.float32), drawn.w2[:half] / np.sqrt(np.float32(width))
        return cls(w1, b1, np.concatenate([w2, -w2]), np.zeros(1, np.float32))

    @classmethod
    def constant(cls, inputs: int, width: int, value: float) -> Network:
        """The same number everywhere, in double precision."""
        import numpy as np

        return cls(*(np.full(shape, value) for shape in ((inputs, width), width, width, 1)))

    def __call__(self, x: np.ndarray) -> np.ndarray:
        """(rows, inputs) → (rows,)."""
        import numpy as np

        return np.maximum(x @ self.w1 + self.b1, 0) @ self.w2 + self.b2

    def trained(self, x: np.ndarray, y: np.ndarray, decay: float, steps: int = STEPS) -> Network:
        """A copy after `steps` full-batch steps of Adam on the mean squared error, weight decay within the gradient."""
        import numpy as np

        weights = [w.copy() for w in self]
        w1, b1, w2, b2 = weights
        first = [np.zeros_like(w) for w in weights]
        second = [np.zeros_like(w) for w in weights]
        for step in range(1, steps + 1):
            active = np.maximum(x @ w1 + b1, 0)
            error = (2 / len(x)) * (active @ w2 + b2 - y)
            back = np.outer(error, w2) * (active > 0)
            gradients = (x.T @ back, back.sum(0), active.T @ error, error.sum(keepdims=True))
            rate = RATE / (1 - BETAS[0] ** step)
            correction = 1 / np.sqrt(1 - BETAS[1] ** step)
            for w, g, m, v in zip(weights, gradients, first, second, strict=True):
                g += decay * w
                m *= BETAS[0]
                m += (1 - BETAS[0]) * g
                v *= BETAS[1]
                g *= g
                g *= 1 - BETAS[1]
                v += g
                np.sqrt(v, out=g)
                g *= correction
                g += EPSILON
                np.divide(m, g, out=g)
                g *= rate
                w -= g
        return Network(*weights)

    def weighted_squared_gradients(self, x: np.ndarray, sums: Network) -> np.ndarray:
        """sum_j g_j(x)^2 / sums_j for every row, with g the gradient of the output by all weights."""
        import numpy as np

        active = np.maximum(x @ self.w1 + self.b1, 0)
        gate = np.where(active > 0, self.w2**2, 0.0)  # squared gradient by b1, and by w1 up to the input
        inner = (x.astype(np.float64) ** 2) @ (1 / sums.w1) + 1 / sums.b1
        return (gate * inner).sum(1) + (active.astype(np.float64) ** 2) @ (1 / sums.w2) + 1 / sums.b2[0]

    def add_squared_gradients(self, x: np.ndarray, sums: Network) -> None:
        """Add g_j(x)^2 of all rows to `sums`."""
        import numpy as np

        active = np.maximum(x @ self.w1 + self.b1, 0)
        gate = np.where(active > 0, self.w2**2, 0.0)
        sums.w1[:] += (x.astype(np.float64) ** 2).T @ gate
        sums.b1[:] += gate.sum(0)
        sums.w2[:] += (active.astype(np.float64) ** 2).sum(0)
        sums.b2[:] += len(x)
