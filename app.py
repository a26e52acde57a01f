"""The app: `streamlit run app.py`."""

from pages import _ui

_ui.begin()
_ui.navigation().run()
