"""Saving a model with skops and loading it again, with reviewed types only."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

from include.retraining.exceptions import ArtifactError
from include.retraining.runs.exhaustion import exhausted
from include.retraining.runs.foreign_errors import IN_THE_LOG, kind_and_place
from include.retraining.training.estimator import Estimator

# Types beyond skops' own list that were reviewed here, for every model: scikit-learn's dictionary
# with attributes, in which a stack or a vote of estimators keeps its parts.
REVIEWED_TYPES = frozenset({"sklearn.utils._bunch.Bunch"})


def save(estimator: Estimator, path: Path, trusted: tuple[str, ...]) -> None:
    """Save an estimator with skops.

    Raises:
        ArtifactError: when skops cannot save it, or it could not be loaded again with reviewed
            types only.
    """
    import skops.io

    try:
        skops.io.dump(estimator, path)
        needed = set(skops.io.get_untrusted_types(file=path))
    except Exception as error:
        raise ArtifactError(
            f"{type(estimator).__name__} cannot be saved with skops (pickle is not used, on "
            f"purpose): {kind_and_place(error)}; {IN_THE_LOG}"
        ) from error
    if unknown := needed - set(trusted) - REVIEWED_TYPES:
        raise ArtifactError(unreviewed_types("the trained model", unknown))


def load_saved(data: bytes, where: str, trusted: Collection[str]) -> Estimator:
    """Load a model from bytes that were verified.

    Args:
        data: a skops file.
        where: its name, for errors.
        trusted: reviewed types beyond skops' own list.

    Raises:
        ArtifactError: when it is not a skops file, or holds an unreviewed type.
    """
    import skops.io
    from skops.io.exceptions import UntrustedTypesFoundException

    try:
        model: Estimator = skops.io.loads(data, trusted=sorted({*REVIEWED_TYPES, *trusted}))
    except UntrustedTypesFoundException as error:
        needed = skops.io.get_untrusted_types(data=data)
        unknown = set(needed) - set(trusted) - REVIEWED_TYPES
        raise ArtifactError(unreviewed_types(where, unknown)) from error
    except Exception as error:  # skops raises any error on a damaged file
        if exhausted(error) is not None:
            raise
        raise ArtifactError(
            f"{where}: not a readable skops file: {kind_and_place(error)}"
        ) from error
    return model


def unreviewed_types(where: str, types: Collection[str]) -> str:
    """Return the sentence for a model that holds unreviewed types."""
    return (
        f"{where}: holds unreviewed types: {', '.join(sorted(types))}. Loading a model "
        "runs their code: after a review, list them in training.trusted_types, and clear the run "
        "from plan_run on (a run that is planned keeps the list it was planned with)"
    )
