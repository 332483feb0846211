"""A film on a page: its frames as images, a slider, and a button that plays them."""

from __future__ import annotations

import base64
import io
import json
from collections.abc import Sequence

import numpy as np
from matplotlib.colors import to_rgb
from numpy.typing import NDArray
from PIL import Image

from graphcolumns.analysis.draw import BORN, BRIEF, DIED, STAYED

Pixels = NDArray[np.uint8]

COLOURS = 96  # of all frames of a film together: flat colours need few, and take few bytes
NEAR = 16
# Colours that must not change: white, black, and those of edges.
EXACT = np.array([to_rgb(c) for c in ("white", "black", BORN, DIED, BRIEF, STAYED)]) * 255
PLAYER = """
<div class="film">
  <img src="{first}" alt="{title}, frame 1">
  <button type="button">Play</button>
  <input type="range" min="0" max="{last}" value="0" aria-label="frame">
  <output>{label}</output>
  <script>
  (function (film) {{
    const frames = {frames}, labels = {labels};
    const [image, button, slider, text] = film.children;
    let timer = null;
    const show = i => {{
      slider.value = i; image.src = frames[i]; text.value = labels[i];
      image.alt = "{title}, frame " + (i + 1);
    }};
    const stop = () => {{ clearInterval(timer); timer = null; button.textContent = "Play"; }};
    slider.oninput = () => {{ stop(); show(+slider.value); }};
    button.onclick = () => {{
      if (timer) return stop();
      if (+slider.value === frames.length - 1) show(0);
      button.textContent = "Pause";
      timer = setInterval(() => {{
        if (+slider.value === frames.length - 1) return stop();
        show(+slider.value + 1);
      }}, {milliseconds});
    }};
  }})(document.currentScript.parentElement);
  </script>
</div>
"""


def player(
    frames: Sequence[bytes], labels: Sequence[str], title: str, milliseconds: int = 120
) -> str:
    """HTML that plays frames; nothing is loaded.

    Args:
        frames: Images, PNG, of one size.
        labels: Text beside each frame.
        title: Description of the film, without quotation marks.
        milliseconds: Time between two frames.
    """
    images = [f"data:image/png;base64,{base64.b64encode(frame).decode()}" for frame in frames]
    return PLAYER.format(
        first=images[0],
        last=len(images) - 1,
        label=labels[0],
        title=title,
        frames=json.dumps(images),
        labels=json.dumps(list(labels)),
        milliseconds=milliseconds,
    )


def small_pngs(frames: Sequence[Pixels]) -> list[bytes]:
    """Frames ``[Y, X, 3]`` as PNG with few colours, the same in all of them."""
    encoded = []
    for frame in _with_palette(frames):
        buffer = io.BytesIO()
        frame.save(buffer, "PNG", optimize=True)
        encoded.append(buffer.getvalue())
    return encoded


def gif(frames: Sequence[bytes], milliseconds: int = 120) -> bytes:
    """Frames, PNG of one size, as an animated GIF that begins again after a while.

    Args:
        frames: Images of one size.
        milliseconds: Time between two frames; the last one stays three times as long.
    """
    first, *rest = (Image.open(io.BytesIO(frame)).convert("RGB") for frame in frames)
    buffer = io.BytesIO()
    times = [milliseconds] * len(rest) + [3 * milliseconds]
    first.save(buffer, "GIF", save_all=True, append_images=rest, duration=times, loop=0)
    return buffer.getvalue()


def _with_palette(frames: Sequence[Pixels]) -> list[Image.Image]:
    """Frames whose colours are those of the first, the middle and the last one."""
    some = np.concatenate([frames[i] for i in sorted({0, len(frames) // 2, len(frames) - 1})])
    palette = Image.fromarray(some).quantize(COLOURS, Image.Quantize.MEDIANCUT)
    found = np.array(palette.getpalette()).reshape(-1, 3)
    # Pillow looks for a near colour only: none may be nearly one of those.
    found = found[np.abs(found[:, None] - EXACT).max(2).min(1) > NEAR]
    palette.putpalette(np.concatenate([found, EXACT.round()]).astype(int).ravel().tolist())
    return [
        Image.fromarray(frame).quantize(palette=palette, dither=Image.Dither.NONE)
        for frame in frames
    ]
