// Two things that a style sheet cannot do, in a page framed by Airflow's UI. Nothing is changed.
"use strict";

// Airflow keeps its theme as a class of its own page, and under "theme" for the next visit.
function followTheme() {
  let theme = null;
  try {
    const outer = window.parent.document.documentElement;
    theme = ["dark", "light"].find((name) => outer.classList.contains(name) || outer.dataset.theme === name);
    theme ??= window.localStorage.getItem("theme");
  } catch {
    // Framed by another site, or storage is forbidden: the system's wish is followed.
  }
  if (theme === "dark" || theme === "light") {
    document.documentElement.dataset.theme = theme;
  } else {
    delete document.documentElement.dataset.theme;
  }
}

followTheme();
if (window.parent !== window) {
  try {
    new MutationObserver(followTheme).observe(window.parent.document.documentElement, {
      attributes: true,
      attributeFilter: ["class", "data-theme"],
    });
  } catch {
    // As above.
  }
}

// The frame that Airflow gives us may not open another page in the window, nor a new tab. The page
// around it may, and is of the same origin: the click is handed to it.
document.addEventListener("click", (event) => {
  const link = event.target.closest?.("a.out");
  if (!link || window.parent === window || event.button !== 0) {
    return;
  }
  event.preventDefault();
  const outer = window.parent.document;
  const same = outer.createElement("a");
  same.href = link.href;
  if (event.ctrlKey || event.metaKey || event.shiftKey || new URL(link.href).origin !== window.location.origin) {
    same.target = "_blank";
    same.rel = "noopener";
  }
  outer.body.append(same);
  same.click();
  same.remove();
});
