// The token of a tab's uploads, kept by the tab itself: a reload begins a new session of the app,
// which knows nothing of the one before. `sessionStorage` ends with the tab, as the pictures do.

const NAME = "cutswap.uploads";

export default function ({ data, setStateValue }) {
  let kept = "";
  try {
    if (data.forget) window.sessionStorage.removeItem(NAME);
    else if (data.token) window.sessionStorage.setItem(NAME, data.token);
    kept = window.sessionStorage.getItem(NAME) || "";
  } catch { /* storage is forbidden: nothing is remembered */ }
  // An answer costs a rerun: it is given where there is something to tell, or the page waits for it.
  if (data.asks && (kept || data.waits)) setStateValue("token", kept || "none");
}
