"""A selection of a study's models: auditing one does not need the others trained."""

from __future__ import annotations

from collections.abc import Sequence

from assay.errors import StudyError, meant_by
from assay.study import ModelSection, Study


def with_models(study: Study, names: Sequence[str]) -> Study:
    """Return the study with only the named models and the smaller sizes that their training starts from.

    Args:
        names: "bloodnet/28" and so on; none leaves the study as it is.

    Raises:
        StudyError: the study has no such model.
    """
    if not names:
        return study
    known = [f"{model.architecture}/{size}" for model in study.models for size in model.sizes]
    for name in names:
        if name not in known:
            raise StudyError(
                f"The study {study.name} has no model '{name}'",
                expected=", ".join(known),
                remedy=meant_by(name, known),
            )
    largest = {name.partition("/")[0]: 0 for name in names}
    for name in names:
        architecture, _, size = name.partition("/")
        largest[architecture] = max(largest[architecture], int(size))
    kept = tuple(
        _up_to(model, largest[model.architecture])
        for model in study.models
        if model.architecture in largest and model.sizes[0] <= largest[model.architecture]
    )
    return study.model_copy(update={"models": kept})


def _up_to(model: ModelSection, size: int) -> ModelSection:
    count = sum(one <= size for one in model.sizes)
    cut = {"sizes": model.sizes[:count], "epochs": model.epochs[:count], "audit_images": model.audit_images[:count]}
    return model.model_copy(update=cut)
