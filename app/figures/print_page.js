// Opens the browser's dialogue to print; what of the page is printed is the page's own style.

export default function ({ parentElement }) {
  parentElement.querySelector("button").onclick = () => window.print();
}
