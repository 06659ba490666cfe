// `element` and `trigger` are Gradio's.
element.addEventListener("click", (event) => {
  const other = event.target.closest("button[value]");
  if (other) trigger("select", { name: other.value });
});
