// One entry in the browser's history for one act of the visitor. Streamlit makes an entry for every
// parameter that a page writes into the URL, also for those it writes by itself after a change of
// page: Back then leads to the same page once more, or twice.

function once() {
  if (window.cutswapHistory) return;
  window.cutswapHistory = true;
  const { history, location } = window;
  const push = history.pushState.bind(history);
  let acted = false;
  const act = () => { acted = true; };
  for (const type of ["pointerdown", "keydown", "input"]) window.addEventListener(type, act, true);
  window.addEventListener("popstate", () => { acted = false; }, true);
  history.pushState = (state, unused, url) => {
    const isHere = new URL(url ?? "", location.href).pathname === location.pathname;
    if (isHere && !acted) history.replaceState(state, unused, url);
    else push(state, unused, url);
    acted = false;
  };
}

export default function () { once(); }
