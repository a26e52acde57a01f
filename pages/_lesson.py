"""Which step of the lesson is shown."""

from collections.abc import Sequence

import streamlit as st

# Else one who comes by the buttons below stays at the end of the page. A block, for it runs again with every step.
TO_THE_BEGINNING = """{
const control = document.querySelector(".st-key-step");
control.tabIndex = -1;
control.focus({ preventScroll: true });
control.scrollIntoView({ block: "start" });
}"""


def choose(titles: Sequence[str]) -> int:
    """Which step is shown, at first the first one; chosen by its title, or by `go_to`."""
    st.session_state.setdefault("step", 0)
    number = (
        st.pills(
            "Ten steps of about two minutes",
            range(len(titles)),
            format_func=lambda i: titles[i],
            required=True,
            key="step",
            persist_state="session",
        )
        or 0
    )
    if st.session_state.get("step_before", number) != number:
        # With the number in it, for the same text would not run again.
        st.html(f"<script>/* {number} */ {TO_THE_BEGINNING}</script>", unsafe_allow_javascript=True)
    st.session_state["step_before"] = number
    return number


def go_to(number: int) -> None:
    """Show another step."""
    st.session_state["step"] = number
