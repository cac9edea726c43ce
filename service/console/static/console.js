"use strict";
// Keeps the part of a page up to date that goes on changing: while the page is looked at, not for ever, less often
// while the service does not answer, and with what changed said to those who hear the page.
(() => {
  const MOST_REFRESHES = 720;
  const LONGEST_PAUSE = 60;
  let refreshes = 0;
  let slower = 1;
  let last = Date.now();
  let said = null;
  const scrolled = new Map();

  const live = () => document.querySelector("[data-live]");

  const say = (text) => {
    const announcer = document.getElementById("announcer");
    if (announcer && announcer.textContent !== text) {
      announcer.textContent = text;
    }
  };

  const refresh = () => {
    const part = live();
    if (!part || document.visibilityState !== "visible" || part.classList.contains("htmx-request")) {
      return;
    }
    const pause = Math.min(Number(part.dataset.live) * slower, LONGEST_PAUSE);
    if (Date.now() - last < pause * 1000) {
      return;
    }
    last = Date.now();
    refreshes += 1;
    if (refreshes > MOST_REFRESHES) {
      delete part.dataset.live;
      const note = document.querySelector(".live");
      if (note) {
        note.textContent = "No longer refreshed, because this page has been open for long; load it again.";
      }
      return;
    }
    htmx.trigger(part, "refresh");
  };

  document.addEventListener("htmx:beforeSwap", () => {
    for (const part of document.querySelectorAll(".scroll[id]")) {
      scrolled.set(part.id, [part.scrollLeft, part.scrollTop]);
    }
  });

  document.addEventListener("htmx:afterSettle", () => {
    slower = 1;
    for (const [id, [left, top]] of scrolled) {
      document.getElementById(id)?.scrollTo(left, top);
    }
    const says = document.querySelector("[data-says]")?.dataset.says;
    if (says && says !== said) {
      said = says;
      say(says);
    }
  });

  for (const failure of ["htmx:responseError", "htmx:sendError", "htmx:timeout"]) {
    document.addEventListener(failure, () => {
      slower = Math.min(slower * 2, LONGEST_PAUSE);
      said = null;
      say("What is shown may be old: the service does not answer. Trying again.");
    });
  }

  document.addEventListener("DOMContentLoaded", () => {
    said = document.querySelector("[data-says]")?.dataset.says ?? null;
    setInterval(refresh, 500);
  });
})();
