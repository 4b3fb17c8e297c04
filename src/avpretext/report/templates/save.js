"use strict";
// A button below each chart saves it as an SVG file: in the colours of the light page, as wide as one column of a paper
// (85 mm), or as two (178 mm).
(() => {
  const light = [...document.styleSheets[0].cssRules].find(rule => rule.selectorText === ":root").style;
  const written = chart => {
    const copy = chart.cloneNode(true), [, , width, height] = chart.getAttribute("viewBox").split(" ").map(Number);
    const wide = width > 450 ? 178 : 85;
    copy.removeAttribute("style");
    copy.setAttribute("width", `${wide}mm`);
    copy.setAttribute("height", `${(wide * height / width).toFixed(2)}mm`);
    copy.setAttribute("font-family", "DejaVu Sans, Verdana, Arial, sans-serif");
    copy.setAttribute("stroke-linejoin", "round");
    const text = new XMLSerializer().serializeToString(copy);
    return text.replace(/var\((--[\w-]+)\)/g, (_, name) => light.getPropertyValue(name).trim());
  };
  for (const chart of document.querySelectorAll("svg[data-name]")) {
    const button = document.createElement("button");
    button.type = "button";
    button.className = "save";
    button.textContent = "Save as SVG";
    button.setAttribute("aria-label", `Save as SVG: ${chart.dataset.name}`);
    button.addEventListener("click", () => {
      const link = document.createElement("a");
      link.href = URL.createObjectURL(new Blob([written(chart)], { type: "image/svg+xml" }));
      link.download = `${chart.dataset.name}.svg`;
      link.click();
      setTimeout(() => URL.revokeObjectURL(link.href), 60000);
    });
    chart.after(button);
  }
})();
