"""Where a picture or a CT is uploaded, or a sample picked: the left of every page about one."""

import streamlit as st
from streamlit.runtime.uploaded_file_manager import UploadedFile

from covid_core import ct_files, gallery, images, recipe, scan, volume
from pages._pictures import PHANTOMS, WHOLE, Upload, middle_of, phantom_of, recipe_of, sample, slice_of, volume_of
from pages._scans import choose_slice

# Of a phantom of one's own, by the names of `recipe.Recipe`: label, least, most, step, unit, and what it means.
SLIDERS = {
    "seed": ("Person", 0, 50, 1, "%d", None),
    "count": ("Lesions", 0, 24, 1, "%d", None),
    "size": ("Size", 5, 40, 1, "%d %%", "Of the width of both lungs."),
    "density": ("Density", 0, 100, 5, "%d %%", "From faint ground glass to consolidation."),
    "depth": ("Depth", 0, 100, 5, "%d %%", "From the pleura to the hilum."),
    "level": ("Height", 0, 100, 5, "%d %%", "From the apex to the base."),
}


def choose_picture() -> Upload | None:
    """Upload widget and samples; None until there is a picture. The last choice stays when the page changes.

    Of a whole CT the picture is a slice, with a slider for another one.
    """
    files = st.file_uploader(
        "Chest X-ray or CT (PNG, JPEG, DICOM, NIfTI, zip)",
        accept_multiple_files=True,
        max_upload_size=scan.MAX_BYTES // 2**20,
        help=f"A picture of up to {images.MAX_BYTES // 2**20} MB ({images.ACCEPTED}), or a whole CT of up to "
        f"{scan.MAX_BYTES // 2**20} MB: NIfTI, all DICOM files of one series, DICOM of several frames, or a zip of these. "
        "Kept in this server's memory only.",
        key="files",
        on_change=_changed,
    )
    known: list[list[str]] = st.session_state.get("uploaded", [])
    new = [file for file in files if not any(file.file_id in together for together in known)]
    if new and not known:
        st.session_state["before"] = st.session_state.get("picture"), st.session_state.get("volume")
    again = st.session_state.get("again", [])
    if taken := new or [file for file in files if file.file_id in again]:
        _take(taken)
    # Last, so that a click that ends this run while a CT is read has it read by the next.
    st.session_state["uploaded"] = _left([*known, [file.file_id for file in new]], files)
    st.session_state["again"] = []
    below = st.container()
    # Folded up: on a phone it would stand before the answer.
    with st.expander("No picture at hand? Pick a sample", icon=":material/image_search:"):
        _choose_sample()
    picture: Upload | None = st.session_state.get("picture")
    with below:
        _remark(picture, bool(files))
        of = volume_of(picture) if picture is not None else None
        if picture is not None and of is not None:
            index = choose_slice(of)
            if index != picture.index:
                picture = st.session_state["picture"] = slice_of(of, index)
        # An upload goes by the cross beside its name, but on another page the widget no longer lists it.
        if picture is not None and not files:
            st.button("Remove this picture", icon=":material/close:", width="stretch", on_click=_clear)
    return picture


def _clear() -> None:
    st.session_state["picture"] = st.session_state["volume"] = None


def _changed() -> None:
    """After a file was taken away, show what is left of the last upload, or what was there before the first.

    A sample chosen meanwhile stays; one that was asked for before the change and is not there yet does not come.
    """
    state = st.session_state
    state["wanted"] = None
    picture: Upload | None = state.get("picture")
    known: list[list[str]] = state.get("uploaded", [])
    if len(state["files"]) >= sum(map(len, known)) or (picture is not None and picture.sample):
        return
    if left := _left(known, state["files"]):
        state["again"] = left[-1]
    else:
        state["picture"], state["volume"] = state.get("before") or (None, None)


def _left(together: list[list[str]], files: list[UploadedFile]) -> list[list[str]]:
    """Of files uploaded together, by their ids, those that the widget still lists."""
    listed = {file.file_id for file in files}
    found = [[i for i in ids if i in listed] for ids in together]
    return [ids for ids in found if ids]


def _take(files: list[UploadedFile]) -> None:
    """Make the last of these files the picture, or the middle slice of the CT that they are.

    The remark is a sentence where the CT cannot be read, or where there are pictures that are not shown.
    """
    contents = [(file.name, file.getvalue()) for file in files]
    picture: Upload | None = None
    of: volume.Volume | None = None
    remark = ""
    if ct_files.is_volume(contents):
        try:
            with st.spinner("Reading the slices"):
                of = volume.read_volume(contents)
            picture = slice_of(of, middle_of(of))
        except images.ImageError as error:
            remark = str(error)
    else:
        picture = Upload(*contents[-1])
        if len(contents) > 1:
            remark = "Several pictures were uploaded; the last one is shown. **Batch** answers all of them."
    st.session_state["remark"], st.session_state["volume"], st.session_state["picture"] = remark, of, picture


def _remark(picture: Upload | None, is_uploaded: bool) -> None:
    """What `_take` had to say of the files that are still there, until a sample is chosen instead."""
    said = st.session_state.get("remark")
    if said and is_uploaded and picture is None:
        st.error(said, icon=":material/error:")
    elif said and is_uploaded and picture is not None and not picture.sample:
        st.info(said, icon=":material/info:")


def show_phantoms() -> None:
    """The phantoms as pictures, each with a button that chooses it."""
    with st.container(key="phantoms"):
        for name, (title, made) in PHANTOMS.items():
            with st.container(border=True):
                st.image(phantom_of(made).pixels, width="stretch", alt=title)
                short = title.removeprefix("Phantom ")
                st.button(
                    f"{short[0].upper()}{short[1:]}",
                    width="stretch",
                    key=f"phantom-{name}",
                    on_click=_want,
                    args=(name,),
                )


def _choose_sample() -> None:
    """Phantoms, and cases from the web."""
    st.caption("Phantoms are synthetic, so their lesions are known.")
    for name, (title, _) in PHANTOMS.items():
        st.button(title, width="stretch", on_click=_want, args=(name,))
    st.button("Phantom of a whole CT", width="stretch", on_click=_want, args=(WHOLE,))
    if st.button("Make your own phantom", width="stretch", icon=":material/tune:"):
        _make_phantom()
    st.caption("These cases are of real patients, openly licensed, fetched from the web on a click.")
    titles = _case_titles()
    case = st.selectbox(
        "Real case from the web",
        gallery.cases(),
        format_func=lambda c: titles[c.file],
        index=None,
        placeholder="Choose a case",
    )
    if case is not None:
        st.button("Fetch this case", on_click=_want, args=(case.file,))
    if wanted := st.session_state.get("wanted"):
        try:
            st.session_state["picture"] = sample(wanted)
        except images.ImageError as error:
            st.error(str(error))
        st.session_state["wanted"] = None


def _want(name: str) -> None:
    """Ask for a sample. The wish is kept until it is fulfilled, because any click ends the run that makes the picture."""
    st.session_state["wanted"] = name


def _case_titles() -> dict[str, str]:
    """File -> what a list calls the case; those of one finding are numbered."""
    titles: dict[str, str] = {}
    for finding in dict.fromkeys(case.finding for case in gallery.cases()):
        alike = [case for case in gallery.cases() if case.finding == finding]
        for number, case in enumerate(alike, 1):
            name = f"{finding}, case {number} of {len(alike)}" if len(alike) > 1 else finding
            titles[case.file] = f"{name} ({case.view}, {case.licence})"
    return titles


@st.dialog("Make your own phantom", width="medium")
def _make_phantom() -> None:
    """Sliders of a phantom, at first as the one that is shown, and the button that shows it."""
    picture: Upload | None = st.session_state.get("picture")
    shown = recipe_of(picture.sample) if picture is not None else None
    usual = shown or recipe.Recipe("ct", seed=1, count=6, size=20, density=70, level=65, depth=10)
    preview, controls = st.columns(2, gap="medium", vertical_alignment="center")
    kinds = {"ct": "CT", "xray": "X-ray"}
    with controls:
        kind = st.segmented_control(
            "Kind",
            list(kinds),
            format_func=kinds.__getitem__,
            default=usual.modality,
            required=True,
            key="phantom_kind",
        )
        for name, (label, least, most, step, unit, words) in SLIDERS.items():
            if name != "level" or kind == "xray":  # a CT slice always lies at its lesions' height
                value = min(max(getattr(usual, name), least), most)  # a link can hold more
                st.slider(label, least, most, value, step, format=unit, key=f"phantom_{name}", help=words)
        if st.button("Show this phantom", type="primary", width="stretch", on_click=_show_phantom):
            st.rerun()  # the whole page, which closes the dialog
    preview.image(phantom_of(_recipe()).pixels, width="stretch", alt="The phantom")


def _recipe() -> recipe.Recipe:
    """The phantom of these sliders."""
    state = st.session_state
    return recipe.Recipe(state["phantom_kind"], **{name: state.get(f"phantom_{name}", 50) for name in SLIDERS})


def _show_phantom() -> None:
    _want(_recipe().name)
