"""The visitor's whole CT: which slice is shown, in which window, and how much of the lungs is lesion in all of them."""

from collections.abc import Callable

import streamlit as st

from covid_core import curves, report, volume
from covid_core.burden import Burden, burden
from pages._pictures import middle_of


def choose_slice(of: volume.Volume) -> int:
    """Slider over the slices, the same on all pages; returns the index."""
    index: int = st.select_slider(
        "Slice, from the head to the feet",
        range(len(of.numbers)),
        value=middle_of(of),
        format_func=lambda i: f"{of.numbers[i]} of {of.total}",
        key=_slice_key(of),
        persist_state="session",
    )
    return index


def _slice_key(of: volume.Volume) -> str:
    """Another CT has another number of slices."""
    return f"slice-{of.sha256}"


def _show_slice(of: volume.Volume, index: int) -> None:
    st.session_state[_slice_key(of)] = index


def choose_window() -> str:
    """One of `volume.WINDOWS`."""
    window: str = st.segmented_control(
        "Window",
        list(volume.WINDOWS),
        format_func=str.capitalize,
        default="lung",
        required=True,
        key="window",
        persist_state="session",
        help="Of the view. The answer is always about the lung window, the only one that the networks know.",
    )
    return window


def whole(of: volume.Volume, index: int) -> None:
    """Lesions over all slices, on a click: it takes some seconds. The most affected slice can be shown."""
    st.markdown("### The whole CT")
    for remark in of.remarks:
        st.caption(remark)
    if not st.toggle(
        "Measure lesions in all slices",
        key="measure",
        persist_state="session",
        help="The U-Net looks at up to 60 of them. The classifier knows single slices only.",
    ):
        return
    bar = st.progress(0.0, "Marking")
    try:
        found = _burden(of, lambda done, total: bar.progress(done / total, f"Marking slice {done} of {total}"))
    finally:
        bar.empty()
    if found.percent is None or found.interval is None:
        st.warning("No slice shows lungs as in a chest CT, so nothing was measured.", icon=":material/help:")
        return
    low, high = found.interval
    measured = sum(one.percent is not None for one in found.slices)
    figure, curve = st.columns([1, 2], gap="medium", vertical_alignment="center")
    figure.metric(f"Lesions, of the lungs in {measured} slices", report.share(found.percent / 100, 1), border=True)
    figure.markdown(
        f"At the worst {report.unbroken(f'{low:.1f} to {high:.1f} %')}: if the {report.percent(found.level)} intervals of all "
        "slices erred to the same side."
    )
    curve.plotly_chart(
        curves.burden_curve(found, of.numbers[index]),
        key="burden",
        config={"displayModeBar": False},
        alt="Lesions in per cent of the lungs over the slices, the most affected marked",
    )
    if found.most_affected is None:
        figure.markdown("No lesion was marked in any slice.")
        return
    figure.markdown(f"Largest lesion area: slice **{of.numbers[found.most_affected]}**.")
    if index != found.most_affected:
        figure.button("Show it", icon=":material/search:", on_click=_show_slice, args=(of, found.most_affected))


def _burden(of: volume.Volume, progress: Callable[[int, int], object]) -> Burden:
    """Lesions over the slices of the visitor's CT.

    Kept with the visitor: a cached function must not draw on a progress bar that was made outside of it.
    """
    kept: tuple[str, Burden] | None = st.session_state.get("burden")
    if kept is None or kept[0] != of.sha256:
        kept = st.session_state["burden"] = (of.sha256, burden(of, progress))
    return kept[1]
