"""A metric of a user's own, and records with the right answers to measure it on."""

import numpy as np


def f1(outputs: np.ndarray, labels: np.ndarray) -> float:
    """The F1 score, averaged over classes, of outputs (records, classes) for labels (records,)."""
    found = outputs.argmax(axis=1)
    scores = []
    for name in np.unique(labels):
        right = np.sum((found == name) & (labels == name))
        scores.append(2 * right / (np.sum(found == name) + np.sum(labels == name)))
    return float(np.mean(scores))


if __name__ == "__main__":
    random = np.random.default_rng(0)
    np.savez("records.npz", features=random.normal(0, 1, (200, 256)).astype(np.float32))
    np.savetxt("answers.csv", random.integers(0, 10, 200), "%d", header="label", comments="")
