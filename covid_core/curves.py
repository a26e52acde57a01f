"""What the teaching pages draw: curves over a strength, a coverage or a prevalence, and answers side by side."""

from collections.abc import Mapping, Sequence
from itertools import groupby
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from covid_core import report
from covid_core.classify import Classification
from covid_core.figures import SAMPLES, compact, whiskers
from covid_core.painting import BLUE, GREEN, GREY, ORANGE, PURPLE, VERMILION

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

    from covid_core.burden import Burden

SUREST = 0.05  # smallest share of the images that a risk-coverage curve answers
# By decision: colour and shape, so that neither has to be told from the other by hue alone.
MARKS = {
    "covid": (VERMILION, "diamond"),
    "non_covid": (GREEN, "circle"),
    "uncertain": (ORANGE, "square"),
    "refused": (GREY, "x"),
}


def mark(decision: str, size: int) -> dict[str, Any]:
    """A marker of `MARKS`, with an outline: orange alone is pale on a white page."""
    colour, symbol = MARKS[decision]
    return {"size": size, "color": colour, "symbol": symbol, "line": {"color": GREY, "width": 1}}


Points = Sequence[tuple[float, Classification]]


def over_strength(answers: Mapping[float, Classification], at: float) -> "Figure":
    """Probability with its interval, uncertainty and distance of a picture degraded more and more.

    Args:
        answers: strength -> answer, as far as there are any.
        at: the strength looked at.
    """
    from plotly.subplots import make_subplots

    points = sorted(answers.items())
    known = [(s, a) for s, a in points if a.probability is not None]
    figure = make_subplots(
        rows=3,
        shared_xaxes=True,
        vertical_spacing=0.07,
        row_heights=[0.5, 0.25, 0.25],
        subplot_titles=("Probability of COVID-19", "Uncertainty in bits", "Distance from the training images"),
    )
    _draw_probability(figure, points, known)
    _draw_uncertainty(figure, known)
    _draw_distance(figure, known)
    figure.add_vline(x=at, line={"color": GREY, "width": 2}, opacity=0.5)
    figure.update_xaxes(range=[-0.04, 1.04], dtick=0.2)
    figure.update_xaxes(title="Strength", row=3, col=1)
    return compact(figure, 560).update_layout(legend_y=1.06, margin_t=64)


def _draw_probability(figure: "Figure", points: Points, known: Points) -> None:
    """The first row: the interval as a band, a line, and a mark for each decision."""
    strengths = [s for s, _ in known]
    figure.add_scatter(
        x=[*strengths, *strengths[::-1]],
        y=[*(a.interval[1] for _, a in known if a.interval), *(a.interval[0] for _, a in known[::-1] if a.interval)],
        mode="lines",
        fill="toself",
        fillcolor="rgba(0, 114, 178, 0.2)",
        line={"width": 0},
        hoverinfo="skip",
        name="interval",
        row=1,
        col=1,
    )
    figure.add_scatter(
        x=strengths,
        y=[a.probability for _, a in known],
        mode="lines",
        line={"color": BLUE},
        showlegend=False,
        hoverinfo="skip",
        row=1,
        col=1,
    )
    for decision in MARKS:
        mine = [(s, a) for s, a in points if a.decision == decision]
        said = "no answer<extra></extra>" if decision == "refused" else "%{y:.0%}<extra>%{fullData.name}</extra>"
        if mine:
            figure.add_scatter(
                x=[s for s, _ in mine],
                # A refused picture has no probability; its mark stands on the axis.
                y=[a.probability or 0 for _, a in mine],
                mode="markers",
                marker=mark(decision, 10),
                name=report.DECISIONS[decision],
                hovertemplate="strength %{x:.1f}: " + said,
                row=1,
                col=1,
            )
    figure.update_yaxes(range=[-0.03, 1.03], tickformat=".0%", row=1, col=1)


def _draw_uncertainty(figure: "Figure", known: Points) -> None:
    """The second row: both kinds of uncertainty."""
    for name, values, colour, dash, symbol in (
        ("aleatoric", [a.aleatoric for _, a in known], ORANGE, "solid", "circle"),
        ("epistemic", [a.epistemic for _, a in known], PURPLE, "dot", "square"),
    ):
        figure.add_scatter(
            x=[s for s, _ in known],
            y=values,
            mode="lines+markers",
            line={"color": colour, "dash": dash},
            marker={"symbol": symbol},
            name=name,
            hovertemplate="%{y:.2f} bit<extra>" + name + "</extra>",
            row=2,
            col=1,
        )
    figure.update_yaxes(range=[-0.03, 1.03], row=2, col=1)


def _draw_distance(figure: "Figure", known: Points) -> None:
    """The third row. Of a refused picture the lungs' box was never looked at, so its distance is not the same measure."""
    figure.add_scatter(
        x=[s for s, _ in known],
        y=[a.distance for _, a in known],
        mode="lines+markers",
        line={"color": GREEN},
        showlegend=False,
        hovertemplate="distance %{y:.2f}<extra></extra>",
        row=3,
        col=1,
    )
    figure.add_hline(
        y=1,
        line={"dash": "dot", "width": 1},
        row=3,
        col=1,
        annotation_text="above: unlike them",
        annotation_position="bottom right",
    )
    figure.update_yaxes(rangemode="tozero", row=3, col=1)


def falling(shares: Mapping[str, Mapping[str, Any]], usual: Sequence[float | None]) -> "Figure":
    """Shares as bars beside each other, with their intervals, and what one always giving the same answer would reach.

    Args:
        shares: what was asked -> {"value", "low", "high", "n"}.
        usual: of each, the share of the more common class, or None.
    """
    import plotly.graph_objects as go

    names = [f"{name}<br>{figure['n']:,} images" for name, figure in shares.items()]
    values = [figure["value"] for figure in shares.values()]
    ends = [(figure["low"], figure["high"]) for figure in shares.values()]
    figure = go.Figure()
    figure.add_bar(
        x=names,
        y=values,
        marker_color=VERMILION,
        width=0.6,
        showlegend=False,
        error_y=whiskers(values, ends, thickness=2, color=GREY),
        customdata=[
            f"{report.share(v, 1)}, 95 % interval {report.share(a)} to {report.share(b)}"
            for v, (a, b) in zip(values, ends, strict=True)
        ],
        hovertemplate="%{customdata}<extra></extra>",
    )
    for name, value, (_, high), line in zip(names, values, ends, usual, strict=True):
        # Above that line, too, where it would cross the number.
        above = max(high, line) if line is not None and high - 0.05 < line < high + 0.2 else high
        figure.add_annotation(
            x=name,
            y=above,
            text=f"<b>{report.share(value, 1)}</b>",
            yanchor="bottom",
            yshift=4,
            showarrow=False,
            font_size=18,
        )
    figure.add_scatter(
        x=names,
        y=list(usual),
        mode="markers",
        name="who always gives the more common answer",
        marker={"symbol": "line-ew", "size": 48, "line": {"width": 3, "color": SAMPLES}},
        hovertemplate="%{y:.0%}<extra></extra>",
    )
    figure.update_xaxes(tickfont_size=13, fixedrange=True)
    figure.update_yaxes(range=[0, 1.18], tickvals=[0, 0.5, 1], tickformat=".0%", fixedrange=True)
    return compact(figure, 300)


def side_by_side(answers: Mapping[str, Classification]) -> "Figure":
    """Mean and interval of several answers to one picture, a line each; the mark says the decision.

    Args:
        answers: label -> answer, none refused.
    """
    import plotly.graph_objects as go

    figure = go.Figure()
    for decision, (colour, _) in MARKS.items():
        mine = [
            (label, a.probability, a.interval)
            for label, a in answers.items()
            if a.decision == decision and a.probability is not None and a.interval is not None
        ]
        if not mine:
            continue
        labels, means, ends = (list(part) for part in zip(*mine, strict=True))
        figure.add_scatter(
            x=means,
            y=labels,
            mode="markers",
            marker=mark(decision, 13),
            error_x=whiskers(means, ends, thickness=3, color=colour),
            cliponaxis=False,
            name=report.DECISIONS[decision],
            hovertemplate="%{x:.1%}<extra>%{y}</extra>",
        )
    figure.add_vline(x=0.5, line={"dash": "dot", "width": 1})
    figure.update_xaxes(range=[-0.02, 1.02], title="Probability of COVID-19", tickformat=".0%")
    figure.update_yaxes(autorange="reversed", automargin=True, categoryorder="array", categoryarray=list(answers))
    return compact(figure, 120 + 40 * len(answers))


def risk_coverage(curves: Mapping[str, tuple[ArrayLike, ArrayLike]], at: float) -> "Figure":
    """Share wrong among the surest images, over how many of them are answered.

    Args:
        curves: label -> (coverage, risk) by `metrics.risk_coverage`; drawn from `SUREST` on.
        at: the share answered that is looked at.
    """
    import plotly.graph_objects as go

    figure = go.Figure()
    for (label, (coverage, risk)), colour, dash in zip(
        curves.items(), (BLUE, VERMILION, GREEN), ("solid", "dash", "dot"), strict=False
    ):
        # Some hundred points draw the same line as thousands. One wrong answer among the first few would set the whole axis.
        shown = np.flatnonzero(np.asarray(coverage) >= SUREST)
        kept = shown[np.unique(np.linspace(0, len(shown) - 1, 300).astype(int))]
        figure.add_scatter(
            x=np.asarray(coverage)[kept],
            y=np.asarray(risk)[kept],
            mode="lines",
            line={"color": colour, "dash": dash, "width": 3},
            name=label,
            hovertemplate="answers %{x:.0%}: %{y:.1%} wrong<extra></extra>",
        )
    figure.add_vline(x=at, line={"color": GREY, "width": 2}, opacity=0.6)
    figure.update_xaxes(title="Share of images answered, surest first", range=[0, 1.02], tickformat=".0%")
    figure.update_yaxes(title="Share of these answers that is wrong", rangemode="tozero", tickformat=".0%")
    return compact(figure, 360)


def predictive_values(prevalence: ArrayLike, values: Mapping[str, ArrayLike], at: float) -> "Figure":
    """What an answer is worth, over how common the disease is.

    Args:
        prevalence: [N], 0..1.
        values: name -> [N], such as PPV and NPV.
        at: the prevalence looked at.
    """
    import plotly.graph_objects as go

    figure = go.Figure()
    for (name, line), colour, dash in zip(values.items(), (VERMILION, GREEN), ("solid", "dash"), strict=False):
        figure.add_scatter(
            x=prevalence,
            y=line,
            mode="lines",
            line={"color": colour, "dash": dash, "width": 3},
            name=name,
            hovertemplate="%{x:.1%} ill: %{y:.1%}<extra></extra>",
        )
    figure.add_vline(x=at, line={"color": GREY, "width": 2}, opacity=0.6)
    ticks = [0.001, 0.005, 0.02, 0.1, 0.5]
    ends = [np.log10(ticks[0]), np.log10(ticks[-1]) + 0.05]
    figure.update_xaxes(title="Share who have COVID-19", type="log", range=ends, tickvals=ticks, tickformat=".1~%")
    figure.update_yaxes(title="Share of such answers that is right", range=[0, 1.03], tickformat=".0%")
    return compact(figure, 360)


def reliability(diagrams: Mapping[str, Sequence[Mapping[str, float]]]) -> "Figure":
    """Reliability diagrams over each other: on the diagonal a model is as right as it claims.

    Args:
        diagrams: name -> bins by `metrics.reliability`, one or two; the last is the one to look at.
    """
    import plotly.graph_objects as go

    figure = go.Figure()
    perfect = {"dash": "dot", "color": GREY}
    figure.add_scatter(x=[0.5, 1], y=[0.5, 1], mode="lines", line=perfect, name="perfect", hoverinfo="skip")
    styles = ((GREY, "square"), (BLUE, "circle"))[-len(diagrams) :]
    for (name, bins), (colour, symbol) in zip(diagrams.items(), styles, strict=True):
        counts = [b["n"] for b in bins]
        figure.add_scatter(
            x=[b["confidence"] for b in bins],
            y=[b["accuracy"] for b in bins],
            mode="markers+lines",
            # The more images, the larger.
            marker={"size": [6 + 4 * float(np.log10(max(n, 1))) for n in counts], "color": colour, "symbol": symbol},
            line={"color": colour},
            customdata=counts,
            hovertemplate="claims %{x:.0%}, right %{y:.0%}, %{customdata} images<extra></extra>",
            name=name,
        )
    figure.update_xaxes(title="Confidence", range=[0.45, 1.02], tickformat=".0%")
    figure.update_yaxes(title="Share right", range=[0, 1.05], tickformat=".0%")
    return compact(figure, 360)


def marker_effect(probabilities: NDArray[Any], plain: float) -> "Figure":
    """By how much a burned-in marker moves the probability, at each place it can stand.

    Args:
        probabilities: [n, n] with the marker, rows from above.
        plain: without it.
    """
    import plotly.graph_objects as go

    change = (np.asarray(probabilities, np.float64) - plain) * 100
    figure = go.Figure()
    # A fixed scale: weak effects look weak.
    figure.add_heatmap(
        z=change,
        zmin=-50,
        zmax=50,
        colorscale=[[0, GREEN], [0.5, "#FFFFFF"], [1, VERMILION]],
        text=[[f"{value:+.0f}" if round(value) else "0" for value in row] for row in change],
        texttemplate="%{text}",
        textfont={"color": "#0F172A"},
        hovertemplate="%{z:+.1f} points<extra></extra>",
        colorbar={"title": "points"},
    )
    figure.update_xaxes(visible=False)
    figure.update_yaxes(visible=False, autorange="reversed", scaleanchor="x")
    return compact(figure, 360)


def burden_curve(burden: "Burden", at: int) -> "Figure":
    """Lesions over the slices of a CT, with the interval of each and the most affected marked.

    Args:
        burden: of the volume.
        at: number of the slice looked at, as in `Volume.numbers`.
    """
    import plotly.graph_objects as go

    # A gap wherever there are no plausible lungs: nothing was measured there.
    band: tuple[list[float | None], list[float | None]] = ([], [])
    for known, run in groupby(burden.slices, lambda one: one.interval is not None):
        ends = [(one.number, *one.interval) for one in run if known and one.interval is not None]
        band[0].extend([*(x for x, _, _ in ends), *(x for x, _, _ in ends[::-1]), None])
        band[1].extend([*(low for _, low, _ in ends), *(high for _, _, high in ends[::-1]), None])
    figure = go.Figure()
    figure.add_scatter(
        x=band[0],
        y=band[1],
        mode="lines",
        fill="toself",
        fillcolor="rgba(230, 159, 0, 0.25)",
        line={"width": 0},
        hoverinfo="skip",
        name=f"{100 * burden.level:.0f} % interval",
    )
    figure.add_scatter(
        x=[one.number for one in burden.slices],
        y=[one.percent for one in burden.slices],
        customdata=[one.lesion_pixels for one in burden.slices],
        mode="lines+markers",
        marker={"size": 5},
        line={"color": ORANGE},
        hovertemplate="slice %{x}: %{y:.1f} %, %{customdata} px<extra></extra>",
        name="lesions",
    )
    worst = next((one for one in burden.slices if one.index == burden.most_affected), None)
    if worst is not None:
        figure.add_scatter(
            x=[worst.number],
            y=[worst.percent],
            mode="markers",
            marker={"size": 13, "symbol": "diamond", "color": VERMILION},
            hovertemplate=f"slice {worst.number}: {worst.percent:.1f} %<extra></extra>",
            name="largest lesion area",
        )
    figure.add_vline(x=at, line={"color": GREY, "width": 2}, opacity=0.6)
    figure.update_xaxes(title="Slice, from the head to the feet")
    figure.update_yaxes(title="Lesions in % of the lungs", rangemode="tozero")
    return compact(figure, 320)


def shares(names: Sequence[str], given: Mapping[str, Sequence[float]]) -> "Figure":
    """Probabilities of the same names in several cases, as groups of bars.

    Args:
        names: [N].
        given: case -> [N] probabilities; at most three cases.
    """
    import plotly.graph_objects as go

    figure = go.Figure()
    for (case, values), colour, pattern in zip(given.items(), (BLUE, ORANGE, GREY), ("", "/", "x"), strict=False):
        figure.add_bar(
            x=list(values),
            y=list(names),
            orientation="h",
            name=case,
            marker={"color": colour, "pattern": {"shape": pattern}},
            hovertemplate="%{y}: %{x:.2f}<extra>" + case + "</extra>",
        )
    figure.update_xaxes(range=[0, 1], title="Probability")
    figure.update_yaxes(autorange="reversed", automargin=True)
    return compact(figure, 110 + 46 * len(names))
