"use strict";
(() => {
  const root = document.documentElement;
  const button = document.getElementById("theme");
  const system = window.matchMedia("(prefers-color-scheme: dark)");
  const isDark = () => (root.dataset.theme ? root.dataset.theme === "dark" : system.matches);
  const label = () => {
    button.textContent = isDark() ? "Light" : "Dark";
    button.setAttribute("aria-label", `Switch to ${isDark() ? "light" : "dark"} theme`);
  };
  const change = () => {
    root.dataset.theme = isDark() ? "light" : "dark";
    label();
  };
  button.addEventListener("click", change);
  system.addEventListener("change", label);
  label();

  // what is wider than the page says so, and only then is a stop for the tab key
  const measure = (box) => {
    const wide = box.scrollWidth > box.clientWidth + 1;
    box.classList.toggle("wide", wide);
    if (wide) box.tabIndex = 0;
    else box.removeAttribute("tabindex");
  };
  const measureAll = () => document.querySelectorAll(".scroll, .plot").forEach(measure);
  window.addEventListener("load", measureAll);
  window.addEventListener("resize", measureAll);
  document.addEventListener("toggle", measureAll, true);

  const setDetails = (open) => {
    document.querySelectorAll("details").forEach((d) => { d.open = open; });
    measureAll();
  };

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
