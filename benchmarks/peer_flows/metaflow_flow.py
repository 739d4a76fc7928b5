"""The job as a flow of Metaflow, which has no sensor: its first step polls."""

import time

import steps
from metaflow import FlowSpec, step


class RetrainFlow(FlowSpec):
    """Train when a file is there and deploy when the score is good enough."""

    @step
    def start(self) -> None:
        """Wait for the flag."""
        while not steps.has_landed():
            time.sleep(steps.POLL_SECONDS)
        self.next(self.train)

    @step
    def train(self) -> None:
        """Fit and score."""
        self.score = steps.train()
        self.next(self.check_score)

    @step
    def check_score(self) -> None:
        """Branch."""
        self.answer = "good" if self.score > steps.MIN_SCORE else "bad"
        self.next({"good": self.deploy, "bad": self.reject}, condition="answer")

    @step
    def deploy(self) -> None:
        """Put it into production."""
        steps.deploy()
        self.next(self.notify)

    @step
    def notify(self) -> None:
        """Send the message."""
        steps.notify()
        self.next(self.end)

    @step
    def reject(self) -> None:
        """Refuse it."""
        self.next(self.end)

    @step
    def end(self) -> None:
        """Nothing is left to do."""


if __name__ == "__main__":
    RetrainFlow()
