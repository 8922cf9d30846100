// Text that may hold anything a user typed: it is set as textContent, never as HTML or markdown.

export default function (component) {
  const { data, parentElement } = component;
  const box = parentElement.querySelector(".notice");
  box.className = `notice ${data.kind}`;
  if (data.kind === "error" || data.kind === "warning") box.setAttribute("role", "alert");
  else box.removeAttribute("role");
  parentElement.querySelector(".title").textContent = data.title;
  const text = parentElement.querySelector(".text");
  text.replaceChildren(...data.parts.map(([piece, strong], part) => {
    const element = document.createElement(strong ? "strong" : "span");
    const letters = Array.from(piece); // Python counts code points, JavaScript halves of some
    let from = 0;
    for (const [, start, end, meaning] of data.marks.filter(([of]) => of === part)) {
      element.append(letters.slice(from, start).join(""), explained(letters.slice(start, end).join(""), meaning));
      from = end;
    }
    element.append(letters.slice(from).join(""));
    return element;
  }));
}

function explained(word, meaning) {
  const element = document.createElement("abbr");
  element.textContent = word;
  element.dataset.meaning = meaning;
  element.tabIndex = 0;
  element.setAttribute("role", "term");
  element.setAttribute("aria-description", meaning);
  element.addEventListener("keydown", (event) => {
    if (event.key === "Escape") element.blur();
  });
  return element;
}
