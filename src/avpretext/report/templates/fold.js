"use strict";
// Folded sections open by a link to them or into them, also in browsers that do not open them so by themselves; all of
// them are printed.
(() => {
  const target = () => document.getElementById(location.hash.slice(1));
  const open = element => {
    let opened = false;
    for (let at = element?.closest("details:not([open])"); at; at = at.parentElement.closest("details:not([open])")) opened = at.open = true;
    return opened;
  };
  const follow = () => { if (open(target())) target().scrollIntoView({ behavior: "instant" }); };
  document.addEventListener("click", event => {
    const link = event.target.closest("a[href^='#']");
    if (link) open(document.getElementById(link.hash.slice(1)));
  });
  window.addEventListener("hashchange", follow);
  follow();
  let printed = [];
  window.addEventListener("beforeprint", () => {
    printed = [...document.querySelectorAll("details.fold:not([open])")];
    for (const fold of printed) fold.open = true;
  });
  window.addEventListener("afterprint", () => { for (const fold of printed) fold.open = false; });
})();
