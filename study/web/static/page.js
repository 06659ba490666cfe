// Shows both pictures at once, opens voting, measures, and answers with one click or one key. The page works without.
"use strict";
document.documentElement.classList.add("scripted"); // from now on the style sheet hides pictures until both are there
addEventListener("DOMContentLoaded", () => {
  const form = document.querySelector("[data-vote]");
  const images = [...document.querySelectorAll(".images img")];
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
  // Both appear in the same frame, and the clock starts with it: neither a slow line nor a larger file tells them apart.
  const shown = Promise.all(images.map((image) => load(image))).then(() => {
    document.documentElement.classList.add("shown");
    return new Promise((resolve) => requestAnimationFrame(resolve));
  });
  shown.catch(() => {}); // the form says so, where there is one

  for (const button of document.querySelectorAll(".enlarge")) {
    button.setAttribute("aria-expanded", "false");
    button.addEventListener("click", () => enlarge(button, button.getAttribute("aria-expanded") !== "true"));
  }
  function enlarge(button, large) {
    for (const other of document.querySelectorAll(".enlarge")) other.setAttribute("aria-expanded", "false");
    button.setAttribute("aria-expanded", String(large));
  }

  if (form) {
    const questions = [...form.querySelectorAll(".question")];
    const status = form.querySelector("[data-status]");
    const changing = "changing" in form.dataset;
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

    setOpen(false);
    status.textContent = "Loading the images…";
    shown.then(() => {
      opened = performance.now();
      put("decode", Math.round(opened - began));
      put("viewport", `${innerWidth}x${innerHeight}@${devicePixelRatio}`);
      status.textContent = "";
      setOpen(true);
      mark();
    }, () => { status.textContent = "An image did not load: please reload the page."; });

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
      // An answer that was kept when going back was not given on this page: it took as long as the page was open.
      for (const question of questions) {
        const name = `ms-${question.dataset.key}`;
        if (question.dataset.key && !form.querySelector(`input[name="${name}"]`)) put(name, Math.round(performance.now() - opened));
      }
    });
    addEventListener("pageshow", (event) => { if (event.persisted) location.reload(); });

    const answers = { a: "left", 1: "left", t: "tie", 2: "tie", b: "right", 3: "right" };
    addEventListener("keydown", (event) => {
      if (event.ctrlKey || event.altKey || event.metaKey || event.repeat) return;
      const key = event.key.toLowerCase();
      const large = document.querySelector('.enlarge[aria-expanded="true"]');
      if (key === "escape" && large) return enlarge(large, false);
      if (key === "u" && document.querySelector("[data-undo]")) return document.querySelector("[data-undo]").click();
      if (!(key in answers) || !opened || sent) return;
      const question = questions.find((q) => q.contains(document.activeElement) && changing) || questions.find((q) => !chosen(q)) || questions[0];
      const input = question.querySelector(`input[value="${answers[key]}"]`);
      input.checked = true;
      input.dispatchEvent(new Event("change", { bubbles: true }));
      if (changing) input.focus();
      done();
    });
  }
});
