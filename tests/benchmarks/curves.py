"""Recorded learning curves of small neural networks on scikit-learn's digits.

`python -m tests.benchmarks.curves` records them anew. The space and the split were chosen before anything was recorded, and not
changed afterwards: a network of one hidden layer, its configurations drawn with seed 0, trained for 27 epochs on 1,000 pictures
and judged on the other 797 after each epoch. The seconds are CPU time of one core, without what else the machine did.
"""

from __future__ import annotations

import functools
import json
import math
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

FILE = Path(__file__).with_name("digits_curves.json")
CONFIGURATIONS = 256
EPOCHS = 27
TRAINING = 1000


@dataclass(frozen=True)
class Curves:
    """Configurations, and of each what came of it."""

    configs: list[dict[str, Any]]
    accuracy: list[list[float]]
    """After each epoch, on the pictures that are kept for validation."""
    seconds: list[float]
    """One epoch's, in the mean."""

    @functools.cached_property
    def number_of(self) -> dict[str, int]:
        """Where each configuration stands, by its key."""
        return {key(config): number for number, config in enumerate(self.configs)}

    def of(self, config: Mapping[str, Any]) -> tuple[list[float], float]:
        """A configuration's accuracy after each epoch, and the seconds of one."""
        number = self.number_of[key(config)]
        return self.accuracy[number], self.seconds[number]


def key(config: Mapping[str, Any]) -> str:
    """A configuration as text, by which it is found again."""
    return json.dumps(dict(config), sort_keys=True)


@functools.cache
def digits() -> Curves:
    """The recorded table."""
    recorded = json.loads(FILE.read_text())
    pictures = recorded["pictures"]
    accuracy = [[right / pictures for right in curve] for curve in recorded["right"]]
    return Curves(recorded["configs"], accuracy, recorded["seconds"])


def _sampled(count: int) -> list[dict[str, Any]]:
    import numpy as np

    random = np.random.default_rng(0)

    def log_uniform(low: float, high: float) -> float:
        return float(f"{math.exp(random.uniform(math.log(low), math.log(high))):.3g}")

    return [
        {
            "width": round(log_uniform(4, 256)),
            "learning_rate": log_uniform(1e-4, 1),
            "alpha": log_uniform(1e-6, 1),
            "batch_size": int(random.choice([16, 32, 64, 128, 256])),
            "activation": str(random.choice(["relu", "tanh", "logistic"])),
            "solver": str(random.choice(["adam", "sgd"])),
        }
        for _ in range(count)
    ]


def record(config: dict[str, Any], seed: int) -> tuple[list[int], float, int]:
    """Train once: how many pictures it reads rightly after each epoch, the seconds of one epoch, how many pictures there are."""
    import numpy as np
    from sklearn.datasets import load_digits
    from sklearn.neural_network import MLPClassifier

    data = load_digits()
    order = np.random.default_rng(0).permutation(len(data.target))
    pixels, labels = data.data[order] / 16, data.target[order]
    model = MLPClassifier(
        config["width"], learning_rate_init=config["learning_rate"], alpha=config["alpha"], batch_size=config["batch_size"],
        activation=config["activation"], solver=config["solver"], random_state=seed,
    )  # fmt: skip
    right, start, judging = [], time.process_time(), 0.0
    for _ in range(EPOCHS):
        model.partial_fit(pixels[:TRAINING], labels[:TRAINING], classes=range(10))
        trained = time.process_time()
        right.append(int((model.predict(pixels[TRAINING:]) == labels[TRAINING:]).sum()))
        judging += time.process_time() - trained
    return right, (time.process_time() - start - judging) / EPOCHS, len(labels) - TRAINING


def main() -> None:
    """Record the table and write its file."""
    import warnings

    from threadpoolctl import threadpool_limits

    warnings.simplefilter("ignore")  # a learning rate of 1 overflows, as it should
    configs = _sampled(CONFIGURATIONS)
    with threadpool_limits(1):
        recorded = [record(config, number) for number, config in enumerate(configs)]
    lines = [
        f'"pictures": {recorded[0][2]}',
        '"configs": [\n' + ",\n".join(json.dumps(config) for config in configs) + "\n]",
        '"seconds": ' + json.dumps([float(f"{seconds:.3g}") for _, seconds, _ in recorded]),
        '"right": [\n' + ",\n".join(json.dumps(right, separators=(",", ":")) for right, _, _ in recorded) + "\n]",
    ]
    FILE.write_text("{\n" + ",\n".join(lines) + "\n}\n")


if __name__ == "__main__":
    main()
