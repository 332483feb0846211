"""A film on a page: its frames as images, a slider, and a button that plays them."""

from __future__ import annotations

import base64
import json
from collections.abc import Sequence

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
