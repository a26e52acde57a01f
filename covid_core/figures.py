"""Results as plotly figures: uncertainty bars, the entropy split, pictures to zoom, forest plots."""

import textwrap
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from covid_core import encode, registry, report
from covid_core.classify import Classification
from covid_core.painting import BLUE, GREEN, GREY, ORANGE, PURPLE, VERMILION, Pixels
from covid_core.preprocess import Frame

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

SAMPLES = "#2B8CCB"  # lighter than BLUE, of which a dark page leaves little where it is painted thinly


def probability_bar(answer: Classification) -> "Figure":
    """Mean, interval and every sample of the COVID-19 probability on one axis from 0 to 1, and where no answer is given."""
    import plotly.graph_objects as go

    if answer.probability is None or answer.interval is None:
        raise ValueError("A refused picture has no probability to draw.")
    low, high = answer.interval
    spread = np.random.default_rng(0).uniform(-0.28, 0.28, answer.samples.size)  # jitter, so that equal samples show
    figure = go.Figure()
    figure.add_scatter(
        x=answer.samples,
        y=spread,
        mode="markers",
        marker={"size": 5, "color": SAMPLES, "opacity": 0.6},
        name=f"{answer.samples.size} samples",
        hovertemplate="sample %{x:.3f}<extra></extra>",
    )
    figure.add_scatter(
        x=[answer.probability],
        y=[0],
        mode="markers",
        marker={"size": 16, "symbol": "diamond", "color": VERMILION, "line": {"color": "white", "width": 1.5}},
        error_x=whiskers([answer.probability], [answer.interval], thickness=4, width=12, color=VERMILION),
        name=f"mean and {100 * answer.level:.0f} % interval",
        hovertemplate=f"mean {answer.probability:.3f}, {low:.3f} to {high:.3f}<extra></extra>",
    )
    figure.add_vline(x=0.5, line={"dash": "dot", "width": 1})
    clear, firm = answer.bounds
    if clear < firm:
        zones = (
            (-0.02, clear, GREEN, f"no pattern<br>up to {report.percent(clear)}", 0.0, "left"),
            (clear, firm, GREY, "cannot say", (clear + firm) / 2, "center"),
            (firm, 1.02, VERMILION, f"COVID-19 pattern<br>from {report.percent(firm)}", 1.0, "right"),
        )
        for start, end, colour, said, at, anchor in zones:
            figure.add_vrect(x0=start, x1=end, fillcolor=colour, opacity=0.14, line_width=0, layer="below")
            label = {"text": said, "xanchor": anchor, "align": anchor, "yanchor": "bottom", "font_size": 12}
            figure.add_annotation(x=at, y=0.34, showarrow=False, **label)
    figure.update_xaxes(
        range=[-0.02, 1.02], title="Probability of COVID-19", tickvals=[0, 0.25, 0.5, 0.75, 1], tickformat=".0%"
    )
    figure.update_yaxes(visible=False, range=[-0.4, 0.8], fixedrange=True)
    return compact(figure, 220)


def uncertainty_bar(answer: Classification) -> "Figure":
    """Aleatoric and epistemic uncertainty, stacked, in bits; one bit is no idea at all."""
    import plotly.graph_objects as go

    if answer.aleatoric is None or answer.epistemic is None:
        raise ValueError("A refused picture has no uncertainty to draw.")
    figure = go.Figure()
    epistemic = _broken(f"epistemic: samples disagree ({', '.join(differing(answer))})")
    for name, value, colour, pattern in (
        ("aleatoric: shared by all samples", answer.aleatoric, ORANGE, ""),
        (epistemic, answer.epistemic, PURPLE, "/"),
    ):
        figure.add_bar(
            x=[value],
            y=[""],
            orientation="h",
            name=name,
            marker={"color": colour, "pattern": {"shape": pattern, "fillmode": "overlay"}},
            hovertemplate="%{x:.3f} bit<extra></extra>",
        )
    figure.update_layout(barmode="stack", legend_traceorder="normal")  # else the legend of a stack is turned round
    figure.update_xaxes(range=[0, 1], title="Uncertainty in bits (1 = no idea)")
    return compact(figure, 160 + 17 * epistemic.count("<br>"))


def differing(answer: Classification) -> list[str]:
    """By what its samples differ from each other."""
    parts = {"networks": bool(registry.get(answer.model).members)}
    parts |= {"heads": answer.method != "mc_dropout", "head-only dropout": answer.method != "ensemble"}
    return [part for part, holds in parts.items() if holds]


def views(plain: Pixels, layered: Pixels) -> "Figure":
    """Two pictures side by side that are moved and enlarged together.

    Args:
        plain: [H, W, 3] uint8, on the left.
        layered: [H, W, 3] uint8, on the right.
    """
    from plotly.subplots import make_subplots

    figure = make_subplots(rows=1, cols=2, horizontal_spacing=0.01, shared_xaxes="all", shared_yaxes="all")
    height, width = plain.shape[:2]
    for column, pixels in enumerate((plain, layered), start=1):
        figure.add_image(source=encode.data_url(encode.png(pixels)), hoverinfo="skip", row=1, col=column)
    figure.update_xaxes(visible=False, range=[0, width], constrain="domain")
    figure.update_yaxes(visible=False, range=[height, 0], scaleanchor="x", constrain="domain")
    # Where one has zoomed to stays when layers, windows or slices change, but not for a picture of another size.
    return compact(figure, 440).update_layout(
        dragmode="pan", uirevision=f"{width} x {height}", margin={"l": 0, "r": 0, "t": 0, "b": 0}
    )


def on_picture(figure: "Figure", pixels: NDArray[np.float32], box: Frame) -> "Figure":
    """A heat map over a picture's fields, seen through, with the picture beneath and a dashed box.

    Args:
        figure: of values [n, n], which divide the picture evenly, the first row above.
        pixels: [H, W] float32, 0..1.
        box: of the picture; what of it lies beyond its edges is left out.
    """
    height, width = pixels.shape
    places = len(figure.data[0].z)
    pale = np.round(255 * (0.5 + pixels / 2)).astype(np.uint8)  # figures stand on it
    place = {"xref": "x", "yref": "y", "x": -0.5, "y": -0.5, "sizex": places, "sizey": places}
    figure.add_layout_image(source=encode.data_url(encode.png(pale)), layer="below", sizing="stretch", **place)

    def edges(first: int, side: int) -> list[float]:
        return [places * min(max(at, 0), side) / side - 0.5 for at in (first, first + box.side)]

    (left, right), (top, bottom) = edges(box.left, width), edges(box.top, height)
    figure.add_shape(
        type="rect", x0=left, x1=right, y0=top, y1=bottom, line={"dash": "dash", "width": 2, "color": BLUE}
    )
    figure.update_traces(opacity=0.5)
    figure.update_xaxes(range=[-0.5, places - 0.5], constrain="domain")
    figure.update_yaxes(range=[places - 0.5, -0.5], autorange=False, scaleratio=height / width, constrain="domain")
    return figure


# By the kind of a figure in a forest plot; only one is drawn where none is given.
KINDS = {
    "": (VERMILION, "diamond"),
    "bundled": (VERMILION, "diamond"),
    "trained for it": (BLUE, "square"),
    "published": (GREY, "circle-open"),
}


WRAPPED = 54  # letters in a line as long as a plot on a phone is wide


def forest(figures: dict[str, dict[str, Any]], axis: str, shares: bool = False) -> "Figure":
    """Measured values with their intervals, one line each, below its label.

    Args:
        figures: label -> {"value", "low", "high", "n", "groups"}, as in a model's metrics, "kind" for a legend, and "blind",
            what is reached without looking at the images. Figures of others may have a value alone.
        axis: title of the axis, which runs from 0 to 1, or to the largest value; of differences as far to both sides of 0.
        shares: whether they are told in per cent.
    """
    import plotly.graph_objects as go

    def told(value: float) -> str:
        return report.share(value) if shares else report.index(value)

    figure = go.Figure()
    lines = [(_broken(f"{label} ({report.counted(f)})" if "n" in f else label), f) for label, f in figures.items()]
    for kind, (colour, symbol) in KINDS.items():
        mine = [(label, f) for label, f in lines if f.get("kind", "") == kind]
        if not mine:
            continue
        values = [f["value"] for _, f in mine]
        ends = [(f.get("low", f["value"]), f.get("high", f["value"])) for _, f in mine]
        figure.add_scatter(
            x=values,
            y=[label for label, _ in mine],
            mode="markers",
            name=kind,
            showlegend=bool(kind),
            marker={"size": 11, "color": colour, "symbol": symbol},
            error_x=whiskers(values, ends, thickness=3, color=SAMPLES) if any("low" in f for _, f in mine) else None,
            customdata=[
                told(f["value"]) + (f", 95 % interval {told(f['low'])} to {told(f['high'])}" if "low" in f else "")
                for _, f in mine
            ],
            hovertemplate="%{customdata}<extra></extra>",
        )
    if blind := [(label, f["blind"]) for label, f in lines if f.get("blind") is not None]:
        figure.add_scatter(
            x=[value for _, value in blind],
            y=[label for label, _ in blind],
            mode="markers",
            name="without looking at the images",
            marker={"symbol": "line-ns", "size": 16, "line": {"width": 2, "color": GREY}},
            hovertemplate="without looking at the images: %{x:.3f}<extra></extra>",
        )
    for label, f in lines:
        beside = {"xref": "paper", "xanchor": "left", "y": label, "showarrow": False, "font": {"size": 12}}
        figure.add_annotation(x=1, text=told(f["value"]), **beside)
        figure.add_annotation(x=0, text=label, yanchor="bottom", yshift=7, align="left", **beside)
    title = _broken(axis, 46)
    reached = [f[end] for f in figures.values() for end in ("value", "low", "high") if f.get(end) is not None]
    span = [0, 1.05 * max([1, *reached])]
    if min(reached, default=0) < 0:
        farthest = 1.1 * max(map(abs, reached))
        span = [-farthest, farthest]
    figure.update_xaxes(range=span, title=title, tickformat=".0%" if shares else None)
    row = 17 * (1 + max((label.count("<br>") for label, _ in lines), default=0)) + 24  # px
    below = 12 / row
    figure.update_yaxes(
        range=[len(lines) - 1 + below, below - 1],
        showticklabels=False,
        categoryorder="array",
        categoryarray=[label for label, _ in lines],
    )
    return compact(figure, 90 + 17 * title.count("<br>") + row * len(lines)).update_layout(margin_r=54)


def whiskers(values: Sequence[float], ends: Sequence[Sequence[float]], **style: Any) -> dict[str, Any]:
    """Error bars as plotly wants them.

    Args:
        values: [N].
        ends: [N, 2], of the interval of each.
        style: of the bars.
    """
    lows, highs = np.transpose(ends)
    arms = {"array": highs - values, "arrayminus": values - lows}
    return {"type": "data", "symmetric": False, **arms, **style}


def _broken(label: str, letters: int = WRAPPED) -> str:
    """A label in lines that a phone has room for."""
    return "<br>".join(
        part for line in label.split("<br>") for part in textwrap.wrap(line, letters, break_on_hyphens=False)
    )


def compact(figure: "Figure", height: int) -> "Figure":
    """The figure with narrow margins and its legend above, this many pixels high, and no line that only a light page shows."""
    figure.for_each_shape(lambda shape: shape.update(line_color=shape.line.color or GREY))  # else it were black
    figure.update_layout(
        height=height,
        margin={"l": 8, "r": 8, "t": 36, "b": 8},
        legend={"orientation": "h", "y": 1.02, "yanchor": "bottom", "x": 0},
        hovermode="closest",
    )
    return figure
