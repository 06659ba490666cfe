// `element` is Gradio's.
element.addEventListener("input", (event) => {
  const words = event.target.value.toLowerCase().split(/\s+/);
  let found = 0;
  for (const section of element.querySelectorAll("section")) {
    let here = 0;
    for (const thing of section.querySelectorAll("button")) {
      thing.hidden = !words.every((word) => thing.dataset.words.includes(word));
      here += !thing.hidden;
    }
    section.hidden = !here;
    found += here;
  }
  element.querySelector(".none").hidden = found > 0;
});
