"""CT volume: a whole CT, slice by slice, and where most of the lungs is lesion."""

import streamlit as st

from covid_core import curves, images, volume
from covid_core.weights import WeightsError
from pages import _pictures, _ui


def slices(chosen: volume.Volume) -> int:
    """Window and slice; returns the index of the slice shown."""
    window = st.segmented_control(
        "Window",
        list(volume.WINDOWS),
        format_func=str.capitalize,
        default="lung",
        required=True,
        key="window",
        persist_state="session",
    )
    index = _pictures.choose_slice(chosen)
    level, width = volume.WINDOWS[window]
    words = f"{chosen.name}, slice {chosen.numbers[index]}, {window} window ({level:.0f}/{width:.0f} HU)"
    st.image(volume.slice_pixels(chosen, index, window), width="stretch", caption=words, alt=words)
    return index


def measured(chosen: volume.Volume, index: int) -> None:
    """Lesions over the slices, on a click: it takes some seconds."""
    if st.button(
        "Diagnose this slice",
        icon=":material/pulmonology:",
        width="stretch",
        type="primary",
        help="In the lung window, whichever is shown here.",
    ):
        _pictures.show_picture(_pictures.slice_of(chosen, index))
    if not st.toggle(
        "Measure lesions in all slices",
        key="measure",
        persist_state="session",
        help="The U-Net looks at up to 60 of them.",
    ):
        return
    bar = st.progress(0.0, "Marking")
    found = _pictures.burden(chosen, lambda done, total: bar.progress(done / total, f"Marking slice {done} of {total}"))
    bar.empty()
    if found.percent is None or found.interval is None:
        st.warning("No slice shows lungs as in a chest CT, so nothing was measured.", icon=":material/help:")
        return
    low, high = found.interval
    st.metric(
        "Lesions in the lungs, all slices",
        f"{found.percent:.1f} % ({low:.1f} to {high:.1f} %)",
        border=True,
        help=f"In brackets: if the {100 * found.level:.0f} % intervals of all slices erred to the same side.",
    )
    st.plotly_chart(
        curves.burden_curve(found, chosen.numbers[index]),
        key="burden",
        config={"displayModeBar": False},
        alt="Lesions in per cent of the lungs over the slices, the most affected marked",
    )
    if found.most_affected is None:
        st.markdown("No lesion was marked in any slice.")
        return
    st.markdown(f"Largest lesion area: slice **{chosen.numbers[found.most_affected]}**.")
    if index != found.most_affected:
        st.button(
            "Show it", icon=":material/search:", on_click=_pictures.show_slice, args=(chosen, found.most_affected)
        )


_ui.only_through_app()
st.title("A whole CT, slice by slice")
side, main = st.columns([1, 3], gap="large")
with side:
    try:
        chosen = _pictures.choose_volume()
    except images.ImageError as error:
        st.error(str(error), icon=":material/error:")
        chosen = None
with main:
    if chosen is None:
        st.markdown(
            "Upload a CT as NIfTI, as DICOM files or as a zip of either, or press the phantom. Look through its slices, find "
            "the one with the largest lesions, and have any of them diagnosed. The classifier knows single slices only."
        )
    else:
        st.subheader(chosen.name)
        for remark in chosen.remarks:
            st.caption(remark)
        left, right = st.columns(2, gap="medium")
        with left:
            index = slices(chosen)
        with right:
            try:
                measured(chosen, index)
            except WeightsError as error:
                st.error(str(error), icon=":material/error:")
