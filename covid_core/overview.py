"""Figures over the rows of a batch: how many of each decision, and every probability with its interval."""

from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from covid_core import report
from covid_core.curves import MARKS, mark
from covid_core.figures import compact, whiskers
from covid_core.painting import GREY

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

ERROR = "error"
# In words, by decision, in the order of tables and charts; what could not be read comes last.
OUTCOMES = {**report.DECISIONS, ERROR: "Could not be read"}


def outcome(row: dict[str, Any]) -> str:
    """The decision of a row of `batch`, or `ERROR`."""
    return ERROR if "error" in row else str(row["decision"])


def counts(rows: Sequence[dict[str, Any]]) -> "Figure":
    """How many rows have which outcome."""
    import plotly.graph_objects as go

    found = Counter(outcome(row) for row in rows)
    names = [name for name in OUTCOMES if found[name]]
    figure = go.Figure()
    figure.add_bar(
        x=[found[name] for name in names],
        y=[OUTCOMES[name] for name in names],
        orientation="h",
        marker_color=[MARKS[name][0] if name in MARKS else GREY for name in names],
        text=[found[name] for name in names],
        hovertemplate="%{y}: %{x}<extra></extra>",
    )
    figure.update_xaxes(title="Files", rangemode="tozero", dtick=_step(max(found.values(), default=0)))
    figure.update_yaxes(autorange="reversed", automargin=True)
    return compact(figure, 100 + 34 * len(names))


def probabilities(rows: Sequence[dict[str, Any]]) -> "Figure":
    """Every probability with its interval, the most probable first; rows without one that means something are left out."""
    import plotly.graph_objects as go

    answered = sorted(
        (row for row in rows if row.get("covid_interval") is not None and not report.is_baseless(row)),
        key=lambda row: -row["covid_probability"],
    )
    figure = go.Figure()
    for name in MARKS:
        mine = [(rank, row) for rank, row in enumerate(answered, start=1) if row["decision"] == name]
        if not mine:
            continue
        figure.add_scatter(
            x=[rank for rank, _ in mine],
            y=[row["covid_probability"] for _, row in mine],
            mode="markers",
            name=OUTCOMES[name],
            marker=mark(name, 9),
            error_y=whiskers(
                [row["covid_probability"] for _, row in mine],
                [row["covid_interval"] for _, row in mine],
                thickness=1.5,
                width=0,
            ),
            customdata=[row["file"] for _, row in mine],
            hovertemplate="%{customdata}: %{y:.0%}<extra></extra>",
        )
    figure.update_xaxes(title="Pictures, the most probable first", dtick=_step(len(answered)))
    figure.update_yaxes(title="Probability of COVID-19", range=[-0.02, 1.02], tickformat=".0%")
    return compact(figure, 340)


def _step(most: int) -> int:
    """Between ticks of a count: whole, and some five to ten of them."""
    return max(1, most // 5)
