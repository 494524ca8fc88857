"""A live dashboard of a training run; plain lines where the output is not a terminal."""

import time
from types import TracebackType

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.panel import Panel
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

_PLAIN_INTERVAL_S = 10.0
_ACCENT = "cyan"
_HIDDEN = ("rollout", "policy")  # groups of metrics that are for `puffer doctor`


class Dashboard:
    """Shows the metrics it is given, "group/name" in a table for each group.

    Args:
        title: of the run.
        console: where to draw; the terminal if None.
        progress: of the run when this is created, in [0, 1]; above 0 for a resumed run.
    """

    def __init__(self, title: str, console: Console | None = None, progress: float = 0.0) -> None:
        self._title, self._first_progress = title, progress
        self._console = console or Console()
        self._is_live = self._console.is_terminal
        self._live = Live(console=self._console, auto_refresh=False, transient=False)
        self._printed_s = 0.0
        self._created_s = time.monotonic()

    def __enter__(self) -> "Dashboard":
        if self._is_live:
            self._live.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._is_live:
            self._live.stop()

    def show(
        self,
        metrics: dict[str, float],
        shares: dict[str, float],
        progress: float,
        warning: str = "",
    ) -> None:
        """Redraw the screen, or print a line at most every ten seconds.

        Args:
            metrics: numbers by name; "group/name" goes into a table of its group. The groups
                "rollout" and "policy" are left out.
            shares: of the wall time, by part.
            progress: in [0, 1].
            warning: a line about the run; "" for none.
        """
        if self._is_live:
            elapsed_s = time.monotonic() - self._created_s
            screen = self.screen(metrics, shares, progress, elapsed_s, warning)
            self._live.update(screen, refresh=True)
            return
        if time.monotonic() - self._printed_s >= _PLAIN_INTERVAL_S or progress >= 1:
            self._printed_s = time.monotonic()
            shown = _shown(metrics).items()
            numbers = "  ".join(f"{name} {_number(value)}" for name, value in shown)
            line = f"{progress:4.0%}  {numbers}{warning and f'  ! {warning}'}"
            self._console.print(line, soft_wrap=True, highlight=False, markup=False)

    def screen(
        self,
        metrics: dict[str, float],
        shares: dict[str, float],
        progress: float,
        elapsed_s: float,
        warning: str = "",
    ) -> RenderableType:
        """Return the screen, 80 columns wide; arguments as `show`, and the seconds elapsed."""
        groups: dict[str, dict[str, str]] = {}
        for name, value in _shown(metrics).items():
            group, _, short = name.rpartition("/")
            groups.setdefault(group or "progress", {})[short] = _number(value)
        groups["time"] = {name: f"{share:.0%}" for name, share in shares.items()}
        left, right = _split_evenly([_table(group, rows) for group, rows in groups.items()])
        columns = Table.grid(expand=True, padding=(0, 1))
        columns.add_column(ratio=1)
        columns.add_column(ratio=1)
        columns.add_row(Group(*left), Group(*right))
        return Panel(
            Group(self._progress(progress, elapsed_s), columns),
            title=f"[bold]{self._title}",
            subtitle=Text(f"! {warning}", "yellow") if warning else None,
            border_style=_ACCENT,
            width=80,
        )

    def _progress(self, progress: float, elapsed_s: float) -> RenderableType:
        made = progress - self._first_progress
        remaining_s = elapsed_s * (1 - progress) / made if made > 0 else 0.0
        times = f"elapsed {_duration(elapsed_s)}, remaining {_duration(remaining_s)}"
        line = Table.grid(expand=True, padding=(0, 1))
        line.add_column(ratio=1)
        line.add_column(justify="right")
        line.add_row(
            ProgressBar(total=1, completed=progress, complete_style=_ACCENT),
            Text(f"{progress:.0%}  {times}"),
        )
        return line


def _shown(metrics: dict[str, float]) -> dict[str, float]:
    return {k: v for k, v in metrics.items() if k.partition("/")[0] not in _HIDDEN}


def _table(group: str, rows: dict[str, str]) -> Table:
    table = Table(box=None, expand=True, pad_edge=False, title=" ", header_style="bold")
    table.add_column(group, style=_ACCENT, no_wrap=True)
    table.add_column(justify="right", no_wrap=True)
    for name, text in rows.items():
        table.add_row(name, text)
    return table


def _split_evenly(tables: list[Table]) -> tuple[list[Table], list[Table]]:
    """Return two columns of about equal height, in order."""
    heights = [table.row_count + 2 for table in tables]  # a blank line and the heading
    left: list[Table] = []
    height = 0
    for table, rows in zip(tables, heights, strict=True):
        if left and height + rows / 2 > sum(heights) / 2:
            break
        left.append(table)
        height += rows
    return left, tables[len(left) :]


def _number(value: float) -> str:
    if isinstance(value, int) or (abs(value) >= 1000 and abs(value) < 1e15):
        return f"{round(value):,}"
    return f"{value:.4g}"


def _duration(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
