"""Trials one after another in this process: for debugging and tests."""

from nas.executors.contract import Work
from nas.job import Worker


class InlineExecutor:
    """Runs every job here and now."""

    def run(self, work: Work, make: type[Worker]) -> None:
        """Run jobs until there is none left or the work is stopping."""
        while (job := work.next_job()) is not None:
            worker = make(job)
            while work.report(worker.step()):
                pass
