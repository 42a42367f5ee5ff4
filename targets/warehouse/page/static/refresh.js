// Keeps "Running now" up to date. It does nothing while the reader is in that part with keyboard or
// screen reader, or looks at another window, and can be switched off. Without scripts the page has a
// link that reloads it.
"use strict";
const part = document.getElementById("running");
const box = document.getElementById("refresh");
if (part && box) {
  const button = box.querySelector("button");
  const news = document.getElementById("running-news");
  const stored = "warehouse-refresh";
  let before = null;

  const isOn = () => button.getAttribute("aria-pressed") === "true";
  const turn = (on) => button.setAttribute("aria-pressed", String(on));

  const look = async () => {
    if (!isOn() || document.hidden || part.contains(document.activeElement)) return;
    let html;
    try {
      const answer = await fetch(part.dataset.address, { credentials: "same-origin" });
      if (!answer.ok) return;
      html = await answer.text();
    } catch {
      return; // The server is gone for a moment: what is shown stays.
    }
    if (html === before || part.contains(document.activeElement)) return;
    before = html;
    const count = document.getElementById("running-count").textContent;
    part.innerHTML = html; // our own server's, escaped there
    const now = document.getElementById("running-count").textContent;
    if (now !== count) news.textContent = now; // said aloud only when streams begin or end
  };

  turn(localStorage.getItem(stored) !== "off");
  box.hidden = false;
  button.addEventListener("click", () => {
    turn(!isOn());
    localStorage.setItem(stored, isOn() ? "on" : "off");
    look();
  });
  setInterval(look, part.dataset.seconds * 1000);
}
