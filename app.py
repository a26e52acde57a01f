"""The app: `streamlit run app.py`."""

import streamlit as st

from pages import _ui

st.set_page_config(page_title="Covid Core", page_icon=":material/pulmonology:", layout="wide")
_ui.disclaimer()
st.navigation(
    [
        st.Page("pages/diagnose.py", title="Diagnose", icon=":material/pulmonology:", default=True),
        st.Page("pages/models.py", title="Models", icon=":material/deployed_code:"),
    ],
    position="top",
).run()
