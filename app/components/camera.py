"""From where the viewer looks at a chart in three dimensions; kept when the chart is drawn anew."""

from pathlib import Path
from typing import Any

import streamlit as st

_MOUNT = st.components.v2.component(
    "letterheads_camera",
    html="<span hidden></span>",
    js=(Path(__file__).parent / "camera.js").read_text("utf-8"),
)


def camera_of(chart: str) -> dict[str, Any] | None:
    """Plotly's `scene.camera` as the viewer left it at the chart of this key; None before it was turned."""
    camera = st.session_state.get(f"camera {chart}")
    return camera if isinstance(camera, dict) else None


# In a fragment: turning the chart must not draw it anew.
@st.fragment
def watch_camera(chart: str) -> None:
    """Draw nothing, and remember how the chart of this key is turned."""

    def turned() -> None:
        st.session_state[f"camera {chart}"] = st.session_state[f"watch {chart}"].camera

    _MOUNT(key=f"watch {chart}", data={"chart": chart}, on_camera_change=turned)
