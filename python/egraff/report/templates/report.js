"use strict";
(() => {
  const root = document.documentElement;
  const button = document.getElementById("theme");
  const system = window.matchMedia("(prefers-color-scheme: dark)");
  const isDark = () => (root.dataset.theme ? root.dataset.theme === "dark" : system.matches);
  const label = () => {
    button.textContent = isDark() ? "Light" : "Dark";
    button.setAttribute("aria-pressed", String(isDark()));
  };
  const change = () => {
    root.dataset.theme = isDark() ? "light" : "dark";
    label();
  };
  button.addEventListener("click", change);
  system.addEventListener("change", label);
  label();

  const setDetails = (open) => document.querySelectorAll("details").forEach((d) => { d.open = open; });
  // what is folded away on the screen belongs on paper
  window.addEventListener("beforeprint", () => setDetails(true));

  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.target.closest("input, textarea, select")) return;
    if (event.key === "t") change();
    if (event.key === "d") setDetails(!document.querySelector("details[open]"));
    if (/^[1-9]$/.test(event.key)) {
      const link = document.querySelectorAll("nav a")[Number(event.key) - 1];
      if (link) link.click();
    }
  });
})();
