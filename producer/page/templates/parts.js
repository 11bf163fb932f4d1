"use strict";

// The page's parts, one at a time: a gallery of thousands would push the others out of reach.
(() => {
  const parts = [...document.querySelectorAll("main > section")];
  const links = [...document.querySelectorAll("nav a")];

  function show(hash) {
    const named = parts.find((part) => `#${part.id}` === hash);
    const shown = named || (document.getElementById("grid") ? parts[0] : parts.at(-1));
    for (const part of parts) part.hidden = part !== shown;
    for (const link of links) {
      if (link.hash === `#${shown.id}`) link.setAttribute("aria-current", "page");
      else link.removeAttribute("aria-current");
    }
    window.dispatchEvent(new Event("resize"));
  }

  for (const link of links) {
    link.addEventListener("click", (event) => {
      // Without the jump that a link would make below the heading.
      event.preventDefault();
      show(link.hash);
      try {
        history.replaceState(null, "", link.hash);
      } catch {
        // Safari lets no page that is a file change its address, which only a reload would miss.
      }
    });
  }
  window.addEventListener("hashchange", () => show(location.hash));
  show(location.hash);
})();
