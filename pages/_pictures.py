"""The visitor's picture: uploaded, a phantom, a case from the web, or a slice of a whole CT."""

import hashlib
from dataclasses import dataclass
from functools import cached_property

import streamlit as st

from covid_core import gallery, images, phantom, recipe, volume

# By the name used in a link: title and how it is made.
PHANTOMS = {
    "xray-healthy": ("Phantom X-ray, healthy", recipe.Recipe("xray", 8, 0, 16, 100, 62, 20)),
    "xray-lesions": ("Phantom X-ray, with lesions", recipe.Recipe("xray", 8, 24, 16, 100, 62, 20)),
    "ct-healthy": ("Phantom CT slice, healthy", recipe.Recipe("ct", 8, 0, 16, 60, 62, 10)),
    "ct-lesions": ("Phantom CT slice, with lesions", recipe.Recipe("ct", 8, 12, 16, 60, 62, 10)),
}
STAND_IN = "xray-lesions"  # where a page needs a picture and none is chosen
# A phantom of which there are all slices, by its name in a link; one of them is shown.
WHOLE = "ct-whole"


@dataclass(frozen=True)
class Upload:
    """A picture the visitor chose.

    Attributes:
        name: shown above the result.
        data: the file.
        credit: source and licence in Markdown, "" for the visitor's own.
        sample: its name in a link, "" for the visitor's own.
        is_computed: a phantom, even if its lesions are not known here, as of a slice of one.
        volume: sha256 of the CT that it is a slice of, "" where it is none.
        index: of that slice.
    """

    name: str
    data: bytes
    credit: str = ""
    sample: str = ""
    is_computed: bool = False
    volume: str = ""
    index: int = 0

    @property
    def is_phantom(self) -> bool:
        """Whether it is a phantom whose lesions are known."""
        return recipe_of(self.sample) is not None

    @cached_property
    def sha256(self) -> str:
        """Of the file, by which answers are cached."""
        return hashlib.sha256(self.data).hexdigest()


def recipe_of(sample: str) -> recipe.Recipe | None:
    """How the phantom of this name is made; None where there is none."""
    return PHANTOMS[sample][1] if sample in PHANTOMS else recipe.parse(sample)


@st.cache_data(max_entries=8, show_spinner=False)
def phantom_of(made: recipe.Recipe) -> phantom.Phantom:
    """The phantom, with its true masks.

    Raises:
        ValueError: a setting is out of range.
    """
    return made.make()


@st.cache_data(max_entries=16, show_spinner="Fetching the picture from the web")
def _case(file: str) -> bytes:
    return gallery.fetch(next(c for c in gallery.cases() if c.file == file))


def sample(name: str) -> Upload:
    """The sample of this name.

    Raises:
        ImageError: there is none, or it cannot be fetched.
    """
    if name == WHOLE:
        return slice_of(phantom_volume(), middle_of(phantom_volume()))
    made = recipe_of(name)
    if made is not None:
        title = PHANTOMS[name][0] if name in PHANTOMS else made.title
        try:
            return Upload(title, phantom.png_bytes(phantom_of(made)), sample=name)
        except ValueError as error:
            raise images.ImageError("There is no such phantom in this link. Make one with the sliders.") from error
    for case in gallery.cases():
        if case.file == name:
            return Upload(name, _case(name), case.credit, sample=name)
    raise images.ImageError("There is no such sample. Choose one from the list.")


@st.cache_data(max_entries=1, show_spinner="Computing a chest, slice by slice")
def phantom_volume() -> volume.Volume:
    """All slices of a phantom."""
    return volume.of_phantom()


def volume_of(picture: Upload) -> volume.Volume | None:
    """The CT that the picture is a slice of, where it is one."""
    of: volume.Volume | None = phantom_volume() if picture.sample == WHOLE else st.session_state.get("volume")
    return of if of is not None and of.sha256 == picture.volume else None


def middle_of(of: volume.Volume) -> int:
    """Index of the slice shown first."""
    return len(of.numbers) // 2


def slice_of(of: volume.Volume, index: int) -> Upload:
    """A slice as a picture, in the lung window, the only one that the networks know."""
    is_phantom = of.source_format == "PHANTOM"
    return Upload(
        f"{of.name}, slice {of.numbers[index]}",
        volume.slice_png(of, index),
        sample=WHOLE if is_phantom else "",
        is_computed=is_phantom,
        volume=of.sha256,
        index=index,
    )


def show_picture(picture: Upload) -> None:
    """Make it the picture of all pages, and go to Diagnose."""
    st.session_state["picture"], st.session_state["wanted"] = picture, None
    st.switch_page("pages/diagnose.py")
