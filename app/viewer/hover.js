// A thumbnail beside the mouse while it is on a point of the Features page's charts. Streamlit
// draws the charts; it may replace a chart's element at any rerun, so binding happens when the
// mouse enters one, not before. `on` and its events are Plotly's public ones, and `st-key-` is the
// class Streamlit documents for a keyed element.

const SIDE = 112; // pixels on the screen
const state = { data: null, box: null };

function box() {
  if (!state.box) {
    state.box = document.createElement("div");
    state.box.className = "cutswap-thumbnail";
    state.box.setAttribute("aria-hidden", "true"); // the hover text says the same
    Object.assign(state.box.style, {
      position: "fixed", width: `${SIDE}px`, height: `${SIDE}px`, zIndex: 1000000, display: "none",
      pointerEvents: "none", border: "2px solid #fff", outline: "1px solid #000",
      borderRadius: "4px", backgroundRepeat: "no-repeat",
    });
    document.body.appendChild(state.box);
  }
  return state.box;
}

function hide() {
  if (state.box) state.box.style.display = "none";
}

function show(event) {
  const data = state.data;
  const index = Number([event.points?.[0]?.customdata].flat()[0]);
  const mouse = event.event;
  if (!data || !mouse || !(index >= 0 && index < data.count)) return hide();
  const place = box().style;
  place.backgroundImage = `url("${data.sheet}")`;
  place.backgroundSize = `${data.columns * SIDE}px ${data.rows * SIDE}px`;
  place.backgroundPosition =
    `${-SIDE * (index % data.columns)}px ${-SIDE * Math.floor(index / data.columns)}px`;
  // Below the mouse, since Plotly's words stand beside it; above where the window ends.
  const below = mouse.clientY + 28;
  const top = below + SIDE + 8 > window.innerHeight ? mouse.clientY - SIDE - 28 : below;
  place.top = `${top}px`;
  place.left = `${Math.max(4, Math.min(mouse.clientX - SIDE / 2, window.innerWidth - SIDE - 8))}px`;
  place.display = "block";
}

function enter(event) {
  const chart = event.target?.closest?.(".js-plotly-plot");
  if (!chart) return hide();
  if (chart.cutswapThumbnails || typeof chart.on !== "function" || !state.data) return undefined;
  if (!state.data.charts.some((key) => chart.closest(`.st-key-${key}`))) return undefined;
  chart.cutswapThumbnails = true;
  chart.on("plotly_hover", show);
  chart.on("plotly_unhover", hide);
  return undefined;
}

export default function (component) {
  state.data = component.data;
  document.addEventListener("pointerover", enter); // the same function twice is once
  return () => {
    document.removeEventListener("pointerover", enter);
    state.data = null;
    state.box?.remove();
    state.box = null;
  };
}
