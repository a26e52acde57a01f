"""The visitor's picture or CT: uploaded, a phantom, or a case from the web."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import streamlit as st

from covid_core import gallery, images, phantom, recipe, scan, volume
from covid_core.burden import Burden
from covid_core.burden import burden as measure_burden

TYPES = ["png", "jpg", "jpeg", "webp", "tif", "tiff", "bmp", "dcm", "dicom"]
VOLUMES = ["nii", "gz", "zip"]  # and a DICOM file of several frames
# By the name used in a link: title, modality, whether there are lesions.
PHANTOMS = {
    "xray-healthy": ("Phantom X-ray, healthy", "xray", False),
    "xray-lesions": ("Phantom X-ray, with lesions", "xray", True),
    "ct-healthy": ("Phantom CT slice, healthy", "ct", False),
    "ct-lesions": ("Phantom CT slice, with lesions", "ct", True),
}
# Of a phantom of one's own, by the names of `recipe.Recipe`: label, least, most, step, unit, and what it means.
SLIDERS = {
    "seed": ("Person", 0, 50, 1, "%d", None),
    "count": ("Lesions", 0, 12, 1, "%d", None),
    "size": ("Size", 5, 40, 1, "%d %%", "Of the width of both lungs."),
    "density": ("Density", 0, 100, 5, "%d %%", "From faint ground glass to consolidation."),
    "depth": ("Depth", 0, 100, 5, "%d %%", "From the pleura to the hilum."),
    "level": ("Height", 0, 100, 5, "%d %%", "From the apex to the base."),
}


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
        return self.sample in PHANTOMS or recipe.parse(self.sample) is not None

    @cached_property
    def sha256(self) -> str:
        """Of the file, by which answers are cached."""
        return hashlib.sha256(self.data).hexdigest()


@st.cache_data(max_entries=8, show_spinner=False)
def phantom_of(sample: str) -> phantom.Phantom:
    """The phantom behind a sample, with its true masks.

    Raises:
        ValueError: its name holds a setting that is out of range.
    """
    own = recipe.parse(sample)
    if own is not None:
        return own.make()
    _, modality, ill = PHANTOMS[sample]
    make = phantom.xray if modality == "xray" else phantom.ct
    return make(seed=1, lesions=phantom.Lesions(count=8, size=0.24, density=0.9) if ill else None)


@st.cache_data(max_entries=16, show_spinner="Fetching the picture from the web")
def _case(file: str) -> bytes:
    return gallery.fetch(next(c for c in gallery.cases() if c.file == file))


def sample(name: str) -> Upload:
    """The sample of this name.

    Raises:
        ImageError: there is none, or it cannot be fetched.
    """
    if name in PHANTOMS:
        return Upload(PHANTOMS[name][0], phantom.png_bytes(phantom_of(name)), sample=name)
    own = recipe.parse(name)
    if own is not None:
        try:
            return Upload(own.title, phantom.png_bytes(phantom_of(name)), sample=name)
        except ValueError as error:
            raise images.ImageError("There is no such phantom in this link. Make one with the sliders.") from error
    for case in gallery.cases():
        if case.file == name:
            return Upload(name, _case(name), case.credit, sample=name)
    raise images.ImageError(f"There is no sample '{name}'. Choose one from the list.")


def choose_picture() -> Upload | None:
    """Upload widget and samples; None until there is a picture. The last choice stays when the page changes.

    Of a whole CT the picture is a slice, with a slider for another one.
    """
    file = st.file_uploader(
        "Chest X-ray or CT",
        type=[*TYPES, *VOLUMES],
        max_upload_size=scan.MAX_BYTES // 2**20,
        help="PNG, JPEG, WebP, TIFF, BMP or DICOM up to 64 MB, or a whole CT: NIfTI, DICOM of several frames, or a zip of its "
        "slices. Nothing is stored.",
    )
    if file is not None and file.file_id != st.session_state.get("uploaded"):
        st.session_state["uploaded"] = file.file_id
        st.session_state["refused"] = _take(file.name, file.getvalue())
    below = st.container()
    shown: Upload | None = st.session_state.get("picture")
    # Beside a shared picture, or one's own, the list is folded up: on a phone it would stand before the answer.
    is_open = not st.session_state.get("is_linked") and (shown is None or shown.sample != "")
    with st.expander("No picture at hand? Pick a sample", expanded=is_open, icon=":material/image_search:"):
        _choose_sample()
    picture: Upload | None = st.session_state.get("picture")
    of: volume.Volume | None = st.session_state.get("volume")
    if file is not None and picture is None and st.session_state["refused"]:
        below.error(st.session_state["refused"], icon=":material/error:")
    elif picture is not None and of is not None and picture.volume == of.sha256:
        with below:
            index = choose_slice(of)
            st.page_link("pages/ct_volume.py", label="Its windows and lesion curve", icon=":material/layers:")
        if index != picture.index:
            picture = st.session_state["picture"] = slice_of(of, index)
    return picture


def _take(name: str, data: bytes) -> str:
    """Make an uploaded file the picture, or its middle slice; returns a sentence where it is a CT that cannot be read."""
    st.session_state["picture"] = None
    if not scan.is_volume(name, data):
        st.session_state["picture"] = Upload(name, data)
        return ""
    try:
        with st.spinner("Reading the slices"):
            of = st.session_state["volume"] = volume.read_volume([(name, data)])
    except images.ImageError as error:
        return str(error)
    st.session_state["picture"] = slice_of(of, middle_of(of))
    return ""


def _choose_sample() -> None:
    """Phantoms, and cases from the web."""
    st.caption("Phantoms are computed, their lesions known.")
    for name, (title, _, _) in PHANTOMS.items():
        if st.button(title, width="stretch"):
            st.session_state["picture"] = sample(name)
    if st.button("Make your own phantom", width="stretch", icon=":material/tune:"):
        _make_phantom()
    st.caption("These cases are of real patients, openly licensed, fetched from the web on a click.")
    case = st.selectbox(
        "Real case from the web",
        gallery.cases(),
        format_func=lambda c: f"{c.finding} ({c.view}, {c.licence})",
        index=None,
        placeholder="Choose a case",
    )
    if case is not None and st.button("Fetch this case"):
        try:
            st.session_state["picture"] = sample(case.file)
        except images.ImageError as error:
            st.error(str(error))


@st.dialog("Make your own phantom")
def _make_phantom() -> None:
    """Sliders of a phantom, at first as the one that is shown, and the button that shows it."""
    picture: Upload | None = st.session_state.get("picture")
    shown = recipe.parse(picture.sample) if picture is not None else None
    usual = shown or recipe.Recipe("ct", seed=1, count=6, size=20, density=70, level=65, depth=10)
    kinds = {"ct": "CT", "xray": "X-ray"}
    kind = st.segmented_control(
        "Kind", list(kinds), format_func=kinds.get, default=usual.modality, required=True, key="phantom_kind"
    )
    for name, (label, least, most, step, unit, words) in SLIDERS.items():
        if name != "level" or kind == "xray":  # a CT slice always lies at its lesions' height
            value = min(max(getattr(usual, name), least), most)  # a link can hold more
            st.slider(label, least, most, value, step, format=unit, key=f"phantom_{name}", help=words)
    if st.button("Show this phantom", type="primary", width="stretch", on_click=_show_phantom):
        st.rerun()  # the whole page, which closes the dialog


def _show_phantom() -> None:
    state = st.session_state
    numbers = {name: state.get(f"phantom_{name}", 50) for name in SLIDERS}
    state["picture"] = sample(recipe.Recipe(state["phantom_kind"], **numbers).name)


def choose_volume() -> volume.Volume | None:
    """Upload widget for a whole CT, and a phantom of one; the last one stays when the page changes.

    Raises:
        ImageError: the files are no CT that can be read.
    """
    files = st.file_uploader(
        "A whole CT",
        type=["nii", "gz", "zip", "dcm", "dicom"],
        accept_multiple_files=True,
        max_upload_size=scan.MAX_BYTES // 2**20,
        help="A NIfTI file (.nii, .nii.gz), all DICOM files of one series, or a zip of either. Nothing is stored.",
    )
    if st.button("Phantom of a whole CT", width="stretch"):
        st.session_state["volume"] = _phantom_volume()
    names = [file.file_id for file in files]
    if files and names != st.session_state.get("uploaded_volume"):
        st.session_state["uploaded_volume"] = names
        st.session_state["volume"] = None  # of a file that cannot be read, the former one must not stay
        with st.spinner("Reading the slices"):
            st.session_state["volume"] = volume.read_volume([(file.name, file.getvalue()) for file in files])
    chosen: volume.Volume | None = st.session_state.get("volume")
    return chosen


@st.cache_data(max_entries=1, show_spinner="Computing a chest, slice by slice")
def _phantom_volume() -> volume.Volume:
    return volume.of_phantom()


def burden(of: volume.Volume, progress: Callable[[int, int], None]) -> Burden:
    """Lesions over the slices of the visitor's CT.

    Kept with the visitor: a cached function must not draw on a progress bar that was made outside of it.
    """
    kept = st.session_state.get("burden")
    if kept is None or kept[0] != of.sha256:
        kept = st.session_state["burden"] = (of.sha256, measure_burden(of, progress))
    found: Burden = kept[1]
    return found


def slice_key(of: volume.Volume) -> str:
    """Key of the slider over its slices: another volume has another number of them."""
    return f"slice-{of.sha256}"


def middle_of(of: volume.Volume) -> int:
    """Index of the slice shown first."""
    return len(of.numbers) // 2


def choose_slice(of: volume.Volume) -> int:
    """Slider over the slices, the same on all pages; returns the index."""
    index: int = st.select_slider(
        "Slice, from the head to the feet",
        range(len(of.numbers)),
        value=middle_of(of),
        format_func=lambda i: f"{of.numbers[i]} of {of.total}",
        key=slice_key(of),
        persist_state="session",
    )
    return index


def show_slice(of: volume.Volume, index: int) -> None:
    """Move the slider there; for a callback."""
    st.session_state[slice_key(of)] = index


def slice_of(of: volume.Volume, index: int) -> Upload:
    """A slice as a picture."""
    return Upload(
        f"{of.name}, slice {of.numbers[index]}",
        volume.slice_png(of, index),
        is_computed=of.source_format == "PHANTOM",
        volume=of.sha256,
        index=index,
    )


def show_picture(picture: Upload) -> None:
    """Make it the picture of all pages, and go to Diagnose."""
    st.session_state["picture"] = picture
    st.switch_page("pages/diagnose.py")
