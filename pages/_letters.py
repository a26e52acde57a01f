"""A picture with letters on it that are dragged about, by mouse, finger or arrow keys."""

import streamlit as st

from covid_core import encode, shortcuts
from covid_core.picture import DecodedImage

KEY = "letters_on_picture"
SLIDERS = ("across", "down")  # keys of the sliders that follow
STEP = 0.05  # of the picture's sides
SIDE = 512  # px

# With names of their own from the start, before the script gives them better ones.
HTML = '<div class="box"><img alt="The picture"><span role="button" tabindex="0" aria-label="Letters"></span></div>'
# A container with a size lets the letters be a share of its width, as they are of the picture that is asked about.
CSS = """
.box { position: relative; container-type: inline-size; }
img { display: block; width: 100%; user-select: none; pointer-events: none; }
span { position: absolute; transform: translate(-50%, -50%); color: #fff; font-family: sans-serif; line-height: 1;
  white-space: pre; cursor: grab; touch-action: none; user-select: none; outline: 1px dashed #fff; outline-offset: 4px; }
span:focus-visible { outline: 3px solid #56b4e9; }
"""
JS = """
export default function ({ data, parentElement, setStateValue }) {
  const box = parentElement.querySelector(".box"), picture = box.querySelector("img"), letters = box.querySelector("span");
  let place = data.place;
  const show = () => { letters.style.left = `${100 * place[0]}%`; letters.style.top = `${100 * place[1]}%`; };
  const within = (value) => Math.min(Math.max(Math.round(value / data.step) * data.step, 0), 1);
  const tell = () => { show(); setStateValue("place", place); };
  picture.src = data.picture;
  picture.alt = data.alt;
  letters.textContent = data.text;
  letters.style.fontSize = `${100 * data.height}cqw`;
  letters.setAttribute("aria-label", `Letters ${data.text}: drag them, or move them with the arrow keys`);
  show();
  letters.onpointerdown = (event) => {
    letters.setPointerCapture(event.pointerId);
    letters.onpointermove = (move) => {
      const edge = box.getBoundingClientRect();
      place = [within((move.clientX - edge.left) / edge.width), within((move.clientY - edge.top) / edge.height)];
      show();
    };
  };
  letters.onpointerup = letters.onpointercancel = () => {
    if (letters.onpointermove) tell();
    letters.onpointermove = null;
  };
  const ways = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
  letters.onkeydown = (event) => {
    const way = ways[event.key];
    if (!way) return;
    event.preventDefault();
    place = place.map((value, axis) => within(value + way[axis] * data.step));
    tell();
  };
}
"""
_component = st.components.v2.component("letters_on_a_picture", html=HTML, css=CSS, js=JS)


def draggable(image: DecodedImage, text: str, place: tuple[float, float], words: str) -> None:
    """Draw it; the sliders follow where the letters are dropped.

    Args:
        image: the picture.
        text: the letters.
        place: of their middle, across and down, 0..1.
        words: what is shown, for who cannot see it.
    """
    height, width = image.shape
    _component(
        key=KEY,
        data={
            "picture": encode.thumbnail(image.pixels, SIDE),
            "text": text,
            "place": list(place),
            "step": STEP,
            "height": shortcuts.LETTER * max(height, width) / width,
            "alt": words,
        },
        on_place_change=_follow,
    )


def _follow() -> None:
    for name, value in zip(SLIDERS, st.session_state[KEY]["place"], strict=True):
        st.session_state[name] = round(float(value), 2)
