// `element` and `trigger` are Gradio's.
element.addEventListener("click", (event) => {
  const thing = event.target.closest("button[value]");
  if (thing) trigger("select", { name: thing.value });
});
