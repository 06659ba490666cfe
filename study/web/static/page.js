// Shows both pictures at once, opens voting, measures, and answers with one click or one key. The page works without.
"use strict";
document.documentElement.classList.add("scripted"); // from now on the style sheet hides pictures until both are there
addEventListener("DOMContentLoaded", () => {
  const form = document.querySelector("[data-vote]");
  const images = [...document.querySelectorAll("button.enlarge img")];
  const all = [...document.querySelectorAll(".images img")]; // with a reference, where there is one
  const personal = document.querySelector("[data-personal]");
  if (personal) personal.textContent = personal.href;

  // A picture that does not come is asked for again, 15 s long.
  const load = async (image, wait = 500) => {
    try {
      await image.decode();
    } catch (error) {
      if (wait > 8000) throw error;
      await new Promise((resolve) => setTimeout(resolve, wait));
      image.src = image.src;
      await load(image, 2 * wait);
    }
  };
  // 1:1 where it fits, small pictures by a whole factor, larger ones as large as there is room; both alike.
  const size = () => {
    const room = images.map((image) => image.parentElement.getBoundingClientRect());
    const [width, height] = ["naturalWidth", "naturalHeight"].map((side) => Math.max(...images.map((image) => image[side])));
    const fits = Math.min(...room.map((box) => Math.min(box.width / width, box.height / height)));
    const scale = fits >= 1 ? Math.floor(fits) : fits;
    for (const image of images) {
      image.style.width = `${image.naturalWidth * scale}px`;
      image.style.height = `${image.naturalHeight * scale}px`;
    }
    return [Math.round(width * scale), Math.round(height * scale)];
  };
  let displayed = [0, 0];
  // Both appear in the same frame, and the clock starts with it: neither a slow line nor a larger file tells them apart.
  const shown = Promise.all(all.map((image) => load(image))).then(() => {
    if (images.length) displayed = size();
    addEventListener("resize", () => { if (images.length) displayed = size(); });
    document.documentElement.classList.add("shown");
    return new Promise((resolve) => requestAnimationFrame(resolve));
  });
  shown.catch(() => {}); // the form says so, where there is one

  const view = document.querySelector("[data-view]");
  for (const [number, button] of [...document.querySelectorAll("button.enlarge")].entries()) {
    button.addEventListener("click", () => openViewer(images, number, view.dataset));
  }

  // Keys can be switched off, for this browser: whoever dictates would vote with single letters (WCAG 2.1.4).
  const remembered = (value) => {
    try {
      if (value !== undefined) localStorage.setItem("study-keys", value);
      return localStorage.getItem("study-keys");
    } catch { return null; } // a browser that keeps nothing
  };
  let keysOn = remembered() !== "off";
  const turn = document.querySelector("[data-switch]");
  const tell = () => {
    turn.textContent = keysOn ? turn.dataset.off : turn.dataset.on;
    document.querySelector("[data-keys]").hidden = !keysOn;
  };
  if (turn) {
    turn.hidden = false;
    tell();
    turn.addEventListener("click", () => { keysOn = !keysOn; remembered(keysOn ? "on" : "off"); tell(); });
  }

  if (form) {
    const questions = [...form.querySelectorAll(".question")];
    const status = form.querySelector("[data-status]");
    const changing = "changing" in form.dataset;
    const least = Number(form.dataset.min || 0);
    const chosen = (question) => question.querySelector("input:checked");
    const began = performance.now();
    let opened = 0;
    let sent = false;

    const put = (name, value) => {
      const field = form.querySelector(`input[name="${name}"]`) || document.createElement("input");
      field.type = "hidden";
      field.name = name;
      field.value = value;
      form.append(field);
    };
    const setOpen = (open) => {
      for (const question of questions) question.disabled = !open;
      form.querySelector("button").disabled = !open;
      form.dataset.vote = open ? "open" : "waiting";
    };
    const mark = () => {
      const current = questions.length > 1 && questions.find((question) => !chosen(question));
      for (const question of questions) question.classList.toggle("current", question === current);
    };
    const send = () => form.requestSubmit();
    const open = () => {
      const large = Math.min(...displayed) >= least;
      if (large && !opened) {
        opened = performance.now();
        put("decode", Math.round(opened - began));
      }
      status.textContent = large ? "" : form.dataset.small;
      setOpen(large);
      mark();
    };

    setOpen(false);
    status.textContent = form.dataset.loading;
    shown.then(() => {
      open();
      if (least) addEventListener("resize", open);
      for (const address of (form.dataset.ahead || "").split(" ").filter(Boolean)) new Image().src = address;
    }, () => { status.textContent = form.dataset.failed; });

    form.addEventListener("change", (event) => {
      const key = event.target.closest(".question").dataset.key;
      if (key) put(`ms-${key}`, Math.round(performance.now() - opened));
      mark();
    });
    // A click of the mouse or a finger; the arrow keys within a group make clicks too, but with no detail.
    form.addEventListener("click", (event) => {
      if (event.target.matches("input[type=radio]") && event.detail > 0) done();
    });
    const done = () => { if (!changing && questions.every(chosen)) send(); };
    form.addEventListener("submit", (event) => {
      if (sent) return event.preventDefault();
      sent = true;
      put("viewport", `${innerWidth}x${innerHeight}@${devicePixelRatio} ${displayed.join("x")}`);
      // An answer that was kept when going back was not given on this page: it took as long as the page was open.
      for (const question of questions) {
        const name = `ms-${question.dataset.key}`;
        if (question.dataset.key && !form.querySelector(`input[name="${name}"]`)) put(name, Math.round(performance.now() - opened));
      }
    });
    addEventListener("pageshow", (event) => { if (event.persisted) location.reload(); });

    // By letter; by their places where the keyboard has no Latin letters, and for digits on any.
    const answers = { a: "left", 1: "left", t: "tie", 2: "tie", b: "right", 3: "right" };
    const places = { KeyA: "a", KeyT: "t", KeyB: "b", KeyU: "u", Digit1: "1", Digit2: "2", Digit3: "3", Numpad1: "1", Numpad2: "2", Numpad3: "3" };
    addEventListener("keydown", (event) => {
      if (!keysOn || event.ctrlKey || event.altKey || event.metaKey || event.repeat) return;
      const letter = event.key.toLowerCase();
      const key = letter in answers || /^[a-z]$/.test(letter) ? letter : places[event.code];
      if (key === "u" && document.querySelector("[data-undo]")) return document.querySelector("[data-undo]").click();
      if (!(key in answers) || form.dataset.vote !== "open" || sent) return;
      const question = questions.find((q) => q.contains(document.activeElement) && changing) || questions.find((q) => !chosen(q)) || questions[0];
      const input = question.querySelector(`input[value="${answers[key]}"]`);
      input.checked = true;
      input.dispatchEvent(new Event("change", { bubbles: true }));
      if (changing) input.focus();
      done();
    });
  }
});
