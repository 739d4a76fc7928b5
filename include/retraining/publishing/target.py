"""What a target is asked for, and one that is asked no more while it does not answer."""

from __future__ import annotations

from typing import NamedTuple, NoReturn, Protocol

from include.retraining.exceptions import NotPublished, TargetUnreachable
from include.retraining.publishing.publication import Champion
from include.retraining.publishing.state import TargetState


class Receipt(NamedTuple):
    """A target has a champion."""

    text: str | None
    """What the target calls it (`TargetState.receipt`)."""
    is_complete: bool = True


class Target(Protocol):
    """A place where one model's champions are published."""

    @property
    def sets_back(self) -> bool:
        """Whether what someone else changed is set back."""

    def publish(self, champion: Champion, *, is_ours: bool) -> Receipt:
        """Give a champion to the target. Doing so twice changes nothing more.

        Args:
            champion: to publish.
            is_ours: whether the target took an earlier champion from here: what lies there may be
                replaced even if someone else changed it.

        Raises:
            NotPublished: when it was not taken, or the target has a newer generation.
        """

    def difference(self, state: TargetState) -> str | None:
        """Return what the target has instead of what it took; None when it is as it was.

        Raises:
            NotPublished: when it cannot be compared.
        """


def require_not_newer(theirs: int, champion: Champion, where: str) -> None:
    """Refuse to replace a newer generation by an older one.

    Raises:
        NotPublished: naming both.
    """
    ours = champion.entry.generation
    if theirs > ours:
        raise NotPublished(
            f"{where} has generation {theirs} of {champion.entry.model} already, newer than "
            f"generation {ours}: if the log ends there, another store publishes to the same place"
        )


class OncePerPass:
    """A target that is not asked again in a pass once its connection did not answer.

    Many models may share a server; if it is down, one of them waits for it, and not all.
    """

    def __init__(self, target: Target, connection: str, down: dict[str, str]) -> None:
        """Wrap a target.

        Args:
            target: asked while its connection answers.
            connection: its connection's name.
            down: the connections that did not answer in this pass, shared by all models.
        """
        self._target = target
        self._connection = connection
        self._down = down

    @property
    def sets_back(self) -> bool:
        """As of the target."""
        return self._target.sets_back

    def publish(self, champion: Champion, *, is_ours: bool) -> Receipt:
        """As of the target."""
        self._require_answers()
        try:
            return self._target.publish(champion, is_ours=is_ours)
        except TargetUnreachable as problem:
            self._down[self._connection] = str(problem)
            raise

    def difference(self, state: TargetState) -> str | None:
        """As of the target."""
        self._require_answers()
        try:
            return self._target.difference(state)
        except TargetUnreachable as problem:
            self._down[self._connection] = str(problem)
            raise

    def _require_answers(self) -> None:
        if self._connection in self._down:
            raise TargetUnreachable(self._down[self._connection])


class UnusableTarget:
    """A target that cannot be reached because of its settings, which its use reports."""

    def __init__(self, problem: str) -> None:
        """Keep what is wrong."""
        self.sets_back = False
        self._problem = problem

    def publish(self, *_: object, **__: object) -> NoReturn:
        """Report what is wrong."""
        raise NotPublished(self._problem)

    def difference(self, *_: object) -> NoReturn:
        """Report what is wrong."""
        raise NotPublished(self._problem)
