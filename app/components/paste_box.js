// A box whose text is asked as soon as it was pasted, so that one paste is all it takes. Ctrl+Enter and the button ask too.

const EXAMPLE = "What color is a raven?\nA) red\nB) black\nC) white\nD) green";

export default function (component) {
  const { data, parentElement, setTriggerValue } = component;
  const form = parentElement.querySelector("form");
  const box = parentElement.querySelector("textarea");
  box.placeholder = EXAMPLE;
  parentElement.querySelector(".hint").textContent = data.hint;
  const ask = () => {
    if (box.value.trim()) setTriggerValue("asked", box.value);
  };
  form.onsubmit = (event) => {
    event.preventDefault();
    ask();
  };
  box.onkeydown = (event) => {
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) {
      event.preventDefault();
      ask();
    }
  };
  // The box holds the pasted text only after the event.
  box.onpaste = () => setTimeout(ask, 0);
}
