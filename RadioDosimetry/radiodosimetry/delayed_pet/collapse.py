"""Watching a training for collapse: images of nothing, or a discriminator that no longer tells anything apart.

Kim 2025 saw the perceptual loss end in zero images in three of ten folds at least; a training that has collapsed does
not come back and should say so rather than run its 200 epochs.
"""

from __future__ import annotations

from collections import deque

from ..learning.training_errors import TrainingStoppedError

ZERO_SHARE = 0.02
"""Mean of the generated images below this share of the acquired ones' counts as an image of nothing."""

CONSTANT_SPREAD = 1e-4
"""Spread of the discriminator's numbers over patches and images below which it is a constant."""

STEPS_TO_COLLAPSE = 50
"""Steps in a row that must look collapsed: any network may begin so."""


class CollapseWatch:
    """Counts steps that look collapsed and stops the training at `patience` in a row.

    Parameters
    ----------
    patience
        Steps in a row.
    grace
        First steps that do not count: fresh networks give small images.
    """

    def __init__(self, patience: int = STEPS_TO_COLLAPSE, grace: int = 100) -> None:
        self.patience = patience
        self.grace = grace
        self.steps = 0
        self._empty: deque[bool] = deque(maxlen=patience)
        self._constant: deque[bool] = deque(maxlen=patience)

    def observe(self, generated_mean: float, acquired_mean: float, judged_spread: float | None = None) -> None:
        """Look at one step.

        Parameters
        ----------
        generated_mean, acquired_mean
            Means of the generated and the acquired images of the step, normalised.
        judged_spread
            Standard deviation of the discriminator's numbers for acquired and generated patches together; None without
            a discriminator.

        Raises
        ------
        TrainingStoppedError
            The images have been empty, or the discriminator constant, for `patience` steps.
        """
        self.steps += 1
        if self.steps <= self.grace:
            return
        self._empty.append(generated_mean < ZERO_SHARE * acquired_mean)
        self._constant.append(judged_spread is not None and judged_spread < CONSTANT_SPREAD)
        if len(self._empty) == self.patience and all(self._empty):
            raise TrainingStoppedError(
                f"The generator has collapsed: for {self.patience} steps its images held less than "
                f"{100 * ZERO_SHARE:g} % of the acquired activity (step {self.steps}). Use the L1 similarity, a "
                "smaller learning rate or another seed."
            )
        if len(self._constant) == self.patience and all(self._constant):
            raise TrainingStoppedError(
                f"The discriminator has collapsed: for {self.patience} steps it gave every patch the same number (step "
                f"{self.steps}). Use another seed, a smaller learning rate or fewer features."
            )

    def state_dict(self) -> dict[str, list[bool] | int]:
        """What a checkpoint must hold."""
        return {"steps": self.steps, "empty": list(self._empty), "constant": list(self._constant)}

    def load_state_dict(self, state: dict[str, list[bool] | int]) -> None:
        """Continue from `state_dict`."""
        self.steps = int(state["steps"])  # type: ignore[arg-type]
        self._empty = deque(state["empty"], maxlen=self.patience)  # type: ignore[arg-type]
        self._constant = deque(state["constant"], maxlen=self.patience)  # type: ignore[arg-type]
