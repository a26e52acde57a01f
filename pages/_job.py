"""A visitor's batch: its files, the rows answered so far, and the widgets that begin it."""

import threading
from dataclasses import dataclass, field
from typing import Any

import streamlit as st

from covid_core import batch, images, phantom
from pages import _ui


@dataclass
class Job:
    """Goes on where it was left, also after another page was looked at.

    Attributes:
        entries: the files.
        model: name of the classifier.
        rows: of the first files, as many as are answered.
        thumbnails: data URLs, one a row; None where there is no picture.
        is_computed: its pictures are phantoms.
        seconds: spent so far.
        going: not stopped, and not at its end.
        lock: held while a row is kept.
    """

    entries: list[batch.Entry]
    model: str
    rows: list[dict[str, Any]] = field(default_factory=list)
    thumbnails: list[str | None] = field(default_factory=list)
    is_computed: bool = False
    seconds: float = 0.0
    going: bool = True
    lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    def keep(self, place: int, row: dict[str, Any], thumbnail: str | None, seconds: float) -> None:
        """The row of the file at this place, once: the run that a click ended still answers its file, beside the next run."""
        with self.lock:
            if place == len(self.rows):
                self.thumbnails.append(thumbnail)  # first, as the rows are what is counted
                self.rows.append(row)
                self.seconds += seconds

    def stop(self) -> None:
        """Leave the rest for later."""
        self.going = False

    def go_on(self) -> None:
        """Answer the rest."""
        self.going = True

    def remaining(self) -> str:
        """How long the rest will take if it takes as long as what is done, in words."""
        if not self.rows:
            return ""
        seconds = self.seconds / len(self.rows) * (len(self.entries) - len(self.rows))
        return f", about {seconds:.0f} s left" if seconds < 90 else f", about {seconds / 60:.0f} min left"


def current() -> Job | None:
    """The visitor's batch, if one was begun."""
    job: Job | None = st.session_state.get("batch")
    return job


def begin() -> None:
    """Files, model and the button that starts; a new start replaces the former batch."""
    files = st.file_uploader(
        "Pictures, or a zip archive of them",
        accept_multiple_files=True,
        max_upload_size=batch.MAX_BYTES // 2**20,
        help=f"{images.ACCEPTED}, up to {images.MAX_BYTES // 2**20} MB a picture and {batch.MAX_BYTES // 2**20} MB in all. "
        "Kept in this server's memory only.",
    )
    model = _ui.choose_model()
    st.button(
        "Classify",
        icon=":material/play_arrow:",
        type="primary",
        width="stretch",
        disabled=not files,
        on_click=_want,
        args=("files",),
    )
    st.button("Try it with phantoms", icon=":material/science:", width="stretch", on_click=_want, args=("phantoms",))
    wanted = st.session_state.get("wanted_batch")
    if wanted == "phantoms" or (wanted and files):  # on another page the files go
        is_computed = wanted == "phantoms"
        try:
            entries = batch.of_uploads(_phantoms() if is_computed else [(file.name, file.getvalue()) for file in files])
        except images.ImageError as error:
            st.error(str(error), icon=":material/error:")
        else:
            st.session_state["batch"] = Job(entries, model, is_computed=is_computed)
            st.session_state.pop("outcomes", None)  # the filter was for the former rows
    st.session_state["wanted_batch"] = None


def _want(of: str) -> None:
    """Ask for a batch of these. The wish is kept until it begins, because any click ends the run that reads the files."""
    st.session_state["wanted_batch"] = of


@st.cache_data(max_entries=1, show_spinner="Computing phantoms")
def _phantoms() -> list[tuple[str, bytes]]:
    """A few phantoms, and a file that is none, to try a batch with: names and contents."""
    files = [("notes.png", b"Not every file in a folder is a picture.")]
    for seed in range(6, 9):
        for name, make, ill in (
            ("ct", phantom.ct, phantom.Lesions(count=12, density=0.6)),
            ("xray", phantom.xray, phantom.Lesions(count=24, density=1, depth=0.2)),
        ):
            files.append((f"{name}-{seed}-healthy.png", phantom.png_bytes(make(seed=seed, lesions=None))))
            files.append((f"{name}-{seed}-lesions.png", phantom.png_bytes(make(seed=seed, lesions=ill))))
    return files
