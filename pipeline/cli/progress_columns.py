"""Defines columns of progress bars that print hidden characters as escapes."""

from rich.progress import ProgressColumn, Task
from rich.text import Text

from pipeline.cli.terminal import styled


class DescriptionColumn(ProgressColumn):
    """The column of a progress bar with the description of a task, such as the name of a file, with escapes."""

    def render(self, task: Task) -> Text:
        """Return the description of the task."""
        return styled(task.description)


class RateColumn(ProgressColumn):
    """The column of a progress bar with the number of records per second."""

    def render(self, task: Task) -> Text:
        """Return the rate as text; an empty text before the rate is known."""
        speed = task.finished_speed or task.speed
        return styled("" if speed is None else f"{speed:,.0f}/s")
