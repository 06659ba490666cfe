// `element` is Gradio's.
element.addEventListener("input", (event) => {
  const slide = element.querySelector(".slide");
  if (event.target.matches(".at")) slide.style.setProperty("--at", `${event.target.value}%`);
  if (event.target.matches(".zoom")) slide.style.setProperty("--zoom", event.target.value);
});
function place(event) { // what is under the pointer, or was tapped, stays there, in both
  const slide = event.target.closest?.(".slide");
  if (!slide || event.target.matches(".at")) return;
  const box = slide.getBoundingClientRect();
  slide.style.setProperty("--x", `${(100 * (event.clientX - box.left)) / box.width}%`);
  slide.style.setProperty("--y", `${(100 * (event.clientY - box.top)) / box.height}%`);
}
for (const kind of ["pointerdown", "pointermove"]) element.addEventListener(kind, place);
