"""What an executor is given: work that hands out jobs and takes reports, always in the driver's own thread."""

from typing import Protocol

from nas.job import Job, Report, Worker


class Work(Protocol):
    """The driver, as an executor sees it."""

    @property
    def stopping(self) -> bool:
        """Whether trials are to end after their running epoch, and no further one is to start."""

    @property
    def finished(self) -> bool:
        """Whether no job will come any more; else there may be one once a running trial has said something."""

    def next_job(self) -> Job | None:
        """Return the next trial to run, or None if there is none now."""

    def report(self, report: Report) -> bool:
        """Take what a worker said; return whether the worker is to take another step."""


class Executor(Protocol):
    """Runs all work that there is."""

    def run(self, work: Work, make: type[Worker]) -> None:
        """Run jobs until there is none left or the work is stopping; ``make`` builds a worker from a job."""
