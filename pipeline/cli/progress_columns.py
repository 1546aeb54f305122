"""Defines columns of progress bars that print hidden characters as escapes."""

from rich.progress import ProgressColumn, Task
from rich.text import Text

from pipeline.cli.terminal import styled


class DescriptionColumn(ProgressColumn):
    """The column of a progress bar that shows the description of a task, such as the name of a file."""

    def render(self, task: Task) -> Text:
        """Return the description of the task, with hidden characters as escapes."""
        return styled(task.description)


class RateColumn(ProgressColumn):
    """The column of a progress bar that shows the number of records per second."""

    def render(self, task: Task) -> Text:
        """Return the number of records per second as text. The text is empty before the rate is known."""
        speed = task.finished_speed or task.speed
        return styled("" if speed is None else f"{speed:,.0f}/s")
