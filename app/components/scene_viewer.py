"""Events of a three-dimensional chart: its camera, which is restored when the chart is drawn again, and clicks."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import streamlit as st

_MOUNT = st.components.v2.component(
    "letterheads_scene_viewer",
    html="<span hidden></span>",
    js=(Path(__file__).parent / "scene_viewer.js").read_text("utf-8"),
)


def camera_of(chart: str) -> dict[str, Any] | None:
    """Plotly's `scene.camera` of the chart with this key, as the user turned it; None before that."""
    camera = st.session_state.get(f"camera {chart}")
    return camera if isinstance(camera, dict) else None


# In a fragment: turning the chart must not draw it again.
@st.fragment
def watch_scene(chart: str, on_pick: Callable[[int], None]) -> None:
    """Draw nothing, and receive the events of the chart with this key.

    `on_pick` is called with the customdata, an integer, of a point that was clicked.
    """
    key = f"watch {chart}"

    def turned() -> None:
        st.session_state[f"camera {chart}"] = st.session_state[key].camera

    def picked() -> None:
        point = st.session_state[key].point
        if isinstance(point, int | float):
            on_pick(int(point))

    _MOUNT(key=key, data={"chart": chart}, on_camera_change=turned, on_point_change=picked)
