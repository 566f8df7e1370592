// Copies the address of what is on the screen: the page's knobs are in it. Browsers give the
// clipboard to secure pages alone (https, or this machine); elsewhere the address is shown, selected.

export default function ({ parentElement }) {
  const button = parentElement.querySelector("button");
  const field = parentElement.querySelector("input");
  const said = parentElement.querySelector("[role=status]");
  field.hidden = true;
  button.onclick = async () => {
    const address = window.location.href;
    try {
      await window.navigator.clipboard.writeText(address);
      said.textContent = "Copied";
      window.setTimeout(() => { said.textContent = ""; }, 3000);
    } catch {
      field.value = address;
      field.hidden = false;
      field.focus();
      field.select();
      said.textContent = "Copy it with Ctrl and C";
    }
  };
}
