// `element` is Gradio's. What was set stays on it, for its content is written anew with every pair.
element.addEventListener("input", (event) => {
  if (event.target.matches(".at")) element.style.setProperty("--at", `${event.target.value}%`);
  if (event.target.matches(".zoom")) element.style.setProperty("--zoom", event.target.value);
});
function place(event) { // what is under the pointer, or was tapped, stays there, in both
  const slide = event.target.closest?.(".slide");
  if (!slide || event.target.matches(".at")) return;
  const box = slide.getBoundingClientRect();
  element.style.setProperty("--x", `${(100 * (event.clientX - box.left)) / box.width}%`);
  element.style.setProperty("--y", `${(100 * (event.clientY - box.top)) / box.height}%`);
}
for (const kind of ["pointerdown", "pointermove"]) element.addEventListener(kind, place);
