// Both pictures of a pair in one place: flipped, zoomed and moved together, the letter shown. A press, a wheel or keys.
"use strict";
function openViewer(images, first, words) {
  const letters = ["A", "B"];
  const dialog = document.createElement("dialog");
  dialog.className = "viewer";
  const stage = Object.assign(document.createElement("div"), { className: "stage" });
  const letter = Object.assign(document.createElement("div"), { className: "letter" });
  letter.setAttribute("role", "status");
  const tools = Object.assign(document.createElement("div"), { className: "tools" });
  const copies = images.map((image) => Object.assign(document.createElement("img"), { src: image.src, alt: image.alt, draggable: false }));
  stage.append(...copies);
  dialog.append(stage, letter, tools);
  document.body.append(dialog);

  const natural = { width: images[0].naturalWidth, height: images[0].naturalHeight };
  const whole = () => Math.min(innerWidth / natural.width, innerHeight / natural.height);
  let shown = first, scale = Math.min(1, whole()), x = 0, y = 0;
  const draw = () => {
    copies.forEach((copy, i) => {
      copy.style.visibility = i === shown ? "visible" : "hidden";
      copy.style.width = `${natural.width * scale}px`;
      copy.style.transform = `translate(calc(-50% + ${x}px), calc(-50% + ${y}px))`;
      copy.style.imageRendering = scale >= 2 ? "pixelated" : "auto";
    });
    letter.textContent = letters[shown];
  };
  const zoom = (factor) => { scale = Math.min(Math.max(scale * factor, Math.min(0.25, whole())), 16); draw(); };
  const fit = () => { [scale, x, y] = [whole(), 0, 0]; draw(); };
  const real = () => { [scale, x, y] = [1, 0, 0]; draw(); };
  const flip = () => { shown = 1 - shown; draw(); };
  const move = (right, down) => { [x, y] = [x + right, y + down]; draw(); };

  const commands = [["A ⇄ B", words.flip, flip], ["1:1", "1:1", real], ["⤢", words.whole, fit], ["+", words.larger, () => zoom(1.5)], ["−", words.smaller, () => zoom(1 / 1.5)], ["✕", words.close, () => dialog.close()]];
  for (const [sign, name, act] of commands) {
    const button = Object.assign(document.createElement("button"), { type: "button", textContent: sign, title: name });
    button.setAttribute("aria-label", name);
    button.addEventListener("click", act);
    tools.append(button);
  }
  const keys = {
    f: flip, " ": flip, a: () => { shown = 0; draw(); }, b: () => { shown = 1; draw(); }, "+": () => zoom(1.5), "-": () => zoom(1 / 1.5),
    0: fit, 1: real, arrowleft: () => move(60, 0), arrowright: () => move(-60, 0), arrowup: () => move(0, 60), arrowdown: () => move(0, -60),
  };
  dialog.addEventListener("keydown", (event) => {
    const act = keys[event.key.toLowerCase()];
    if (event.key === " " && event.target.closest("button")) return; // the button's own press
    event.stopPropagation(); // no vote from here
    if (!act || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    act();
  });
  let from = null;
  stage.addEventListener("pointerdown", (event) => { from = [event.clientX, event.clientY, false]; stage.setPointerCapture(event.pointerId); });
  stage.addEventListener("pointermove", (event) => {
    if (!from) return;
    const [right, down] = [event.clientX - from[0], event.clientY - from[1]];
    if (!from[2] && Math.hypot(right, down) < 5) return;
    from = [event.clientX, event.clientY, true];
    move(right, down);
  });
  stage.addEventListener("pointerup", () => { if (from && !from[2]) flip(); from = null; });
  stage.addEventListener("wheel", (event) => { event.preventDefault(); zoom(event.deltaY < 0 ? 1.2 : 1 / 1.2); }, { passive: false });
  dialog.addEventListener("close", () => dialog.remove());
  dialog.showModal();
  draw();
}
