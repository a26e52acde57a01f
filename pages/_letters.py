"""A picture with letters on it that are dragged about, by mouse, finger or arrow keys."""

from collections.abc import Callable

import numpy as np
import streamlit as st
from numpy.typing import NDArray

from covid_core import report, shortcuts

STEP = 0.05  # of the picture's sides
SIDE = 512  # px

HTML = '<div class="box"><img><span role="button" tabindex="0"></span></div>'
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


def draggable(
    pixels: NDArray[np.float32], text: str, place: tuple[float, float], words: str, key: str, moved: Callable[[], None]
) -> None:
    """Draw it; where the letters are dropped is in `dropped` when `moved` is called.

    Args:
        pixels: [H, W] float32, 0..1.
        text: the letters.
        place: of their middle, across and down, 0..1.
        words: what the picture is, for who cannot see it.
        key: of the element.
        moved: called before the page runs again.
    """
    height, width = pixels.shape
    _component(
        key=key,
        data={
            "picture": report.thumbnail(pixels, SIDE),
            "text": text,
            "place": list(place),
            "step": STEP,
            "height": shortcuts.LETTER * max(height, width) / width,
            "alt": words,
        },
        on_place_change=moved,
    )


def dropped(key: str) -> tuple[float, float]:
    """Where the letters were dropped last: across and down, 0..1, in steps of `STEP`."""
    across, down = st.session_state[key]["place"]
    return round(float(across), 2), round(float(down), 2)
