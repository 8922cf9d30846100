// Text that may hold anything a user typed: it is set as textContent, never as HTML or markdown.

export default function (component) {
  const { data, parentElement } = component;
  const box = parentElement.querySelector(".notice");
  box.className = `notice ${data.kind}`;
  if (data.kind === "error" || data.kind === "warning") box.setAttribute("role", "alert");
  else box.removeAttribute("role");
  parentElement.querySelector(".title").textContent = data.title;
  const text = parentElement.querySelector(".text");
  text.replaceChildren(...data.parts.map(([piece, strong]) => {
    const element = document.createElement(strong ? "strong" : "span");
    element.textContent = piece;
    return element;
  }));
}
