"use strict";
// The clip explorer. `explorer-data` holds, per clip: id, corpus, speaker, seconds, emotion (label, or why there is
// none), sure (0..1; unsure below sure_from), targets, TASK_labels of each task of chunk_tasks (a letter per chunk: h, l,
// -), starts and span of the chunks in seconds, traces (energy, motion, strongest: bytes 0..254 as base64, 255 = gap) and
// pictures [seconds, JPEG].
// Names are only ever set as text, never as markup.
(() => {
  const source = document.getElementById("explorer-data");
  if (!source) return;
  const data = JSON.parse(source.textContent);
  const form = document.getElementById("explorer-filters"), list = document.getElementById("explorer-rows");
  const status = document.getElementById("explorer-found"), pages = document.getElementById("explorer-pages");
  const PER_PAGE = 20, REFUSED = "refused";
  const clips = [...data.clips, ...data.refused.map(row => ({ ...row, id: row.clip_id || row.path, refused: true }))];
  let page = 0, only = null;

  const make = (tag, attributes = {}, ...children) => {
    const svg = ["svg", "path", "rect"].includes(tag);
    const element = svg ? document.createElementNS("http://www.w3.org/2000/svg", tag) : document.createElement(tag);
    for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
    element.append(...children);
    return element;
  };
  const wellFormed = text => text.replace(/\p{Surrogate}/gu, "\ufffd");
  const address = id => "#clip=" + encodeURIComponent(wellFormed(id)).replaceAll("%2F", "/");
  const tally = labels => ({ high: labels.split("h").length - 1, low: labels.split("l").length - 1, all: labels.length });
  const mostly = labels => {
    if (labels === undefined) return undefined;
    const { high, low } = tally(labels);
    return high + low === 0 ? "no label" : high > low ? "mostly high" : high < low ? "mostly low" : "as much high as low";
  };
  const targets = [...new Set(data.clips.flatMap(clip => Object.keys(clip.targets || {})))];
  const facets = [
    ["status", "Used or refused", clip => (clip.refused ? clip.reason : "used")],
    ["corpus", "Corpus", clip => clip.corpus],
    ["emotion", "Emotion label", clip => clip.emotion],
    ...data.chunk_tasks.map(([task, title]) => [task, title + " labels", clip => mostly(clip[task + "_labels"])]),
    ...targets.map((name, place) => ["target-" + place, "To learn: " + name, clip => (clip.targets || {})[name]]),
    ["speaker", "Speaker", clip => clip.speaker],
  ];
  const orders = [
    ["name", "name", null],
    ["sure", "surest emotion", clip => clip.sure],
    ["unsure", "least sure emotion", clip => -clip.sure],
    ["long", "longest", clip => clip.seconds],
    ...data.chunk_tasks.map(([task]) => ["most-" + task, "most high " + task, clip => share(clip[task + "_labels"])]),
  ];
  const share = labels => (labels ? tally(labels).high / labels.length : undefined);

  const fillIn = () => {
    const field = (name, title, control) =>
      form.append(make("label", { class: "field" }, make("span", {}, title), Object.assign(control, { name, id: "explorer-" + name })));
    field("text", "Name contains", make("input", { type: "search", autocomplete: "off", spellcheck: "false" }));
    for (const [name, title, of] of facets) {
      const counts = new Map();
      for (const clip of clips) {
        const value = of(clip);
        if (value !== undefined) counts.set(value, (counts.get(value) || 0) + 1);
      }
      if (counts.size < 2 && !(name === "status" && data.refused.length)) continue;
      const values = [...counts].sort(([one], [other]) => one.localeCompare(other, "en", { numeric: true }));
      if (name === "status") values.unshift([REFUSED, data.refused.length]);
      const option = ([value, count]) => {
        const made = make("option", { value }, `${value} (${count.toLocaleString("en")})`);
        if (data.reasons[value]) made.title = data.reasons[value];
        return made;
      };
      field(name, title, make("select", {}, make("option", { value: "" }, "any"), ...values.map(option)));
    }
    const known = orders.filter(([, , by]) => !by || clips.some(clip => Number.isFinite(by(clip))));
    field("order", "Order by", make("select", {}, ...known.map(([value, text]) => make("option", { value }, text))));
    form.append(make("button", { type: "reset" }, "Clear"));
  };

  const found = () => {
    if (only !== null) return clips.filter(clip => wellFormed(clip.id) === only);
    const wanted = Object.fromEntries(new FormData(form));
    const text = (wanted.text || "").trim().toLowerCase();
    const tests = facets.filter(([name]) => wanted[name]).map(([name, , of]) =>
      wanted[name] === REFUSED ? clip => clip.refused : clip => of(clip) === wanted[name]);
    const kept = clips.filter(clip => clip.id.toLowerCase().includes(text) && tests.every(test => test(clip)));
    const by = orders.find(([name]) => name === wanted.order)[2];
    if (!by) return kept;
    const worth = clip => { const value = by(clip); return Number.isFinite(value) ? value : -Infinity; };
    return kept.map(clip => [worth(clip), clip]).sort(([one], [other]) => (one === other ? 0 : other - one)).map(([, clip]) => clip);
  };

  const bytes = text => Uint8Array.from(atob(text), letter => letter.charCodeAt(0));
  const drawing = (name, height, ...shapes) =>
    make("svg", { viewBox: `0 0 1000 ${height}`, preserveAspectRatio: "none", style: `height: ${height}px`, role: "img", "aria-label": name }, ...shapes);
  const curve = (text, height, filled) => {
    const values = bytes(text), step = 1000 / values.length;
    let path = "", ridge = "", begun = null;
    const point = place => [((place + 0.5) * step).toFixed(0), ((1 - values[place] / 254) * (height - 2) + 1).toFixed(1)];
    for (let place = 0; place <= values.length; place++) {
      if (place === values.length || values[place] === 255) {
        if (begun !== null) ridge += `L${point(place - 1)[0]} ${height}L${begun} ${height}Z`;
        begun = null;
        continue;
      }
      const [x, y] = point(place), move = begun === null ? "M" : "L";
      if (begun === null) begun = x;
      path += `${move}${x} ${y}`;
      ridge += `${move}${x} ${y}`;
    }
    const line = make("path", { class: "line", d: path });
    return filled ? [make("path", { class: "ridge", d: ridge }), line] : [line];
  };
  const lanes = (clip, labels) => [...labels].map((label, place) => make("rect", {
    class: { h: "high", l: "low", "-": "without" }[label], x: ((1000 * clip.starts[place]) / clip.seconds).toFixed(1),
    width: ((1000 * clip.span) / clip.seconds).toFixed(1), y: 5 * place + 1, height: 3.4,
  }));
  const traces = clip => {
    const box = make("div", { class: "traces" });
    const row = (kind, name, picture) => box.append(make("span", { class: "name" }, name), make("div", { class: kind }, picture));
    for (const [kind] of data.chunk_tasks) {
      const name = kind === "activation" ? "motion" : kind, signal = clip[name], labels = clip[kind + "_labels"];
      if (signal) row(kind, name, drawing(`${name} over the clip`, 26, ...curve(signal, 26, false)));
      if (!labels || !clip.seconds) continue;
      const { high, all } = tally(labels);
      row(kind, "chunks", drawing(`${high} of ${all} chunks high`, 5 * all + 1, ...lanes(clip, labels)));
    }
    for (const [unit, signal] of clip.strongest || [])
      row("emotion", data.units[unit], drawing(`${data.units[unit]} over the clip`, 16, ...curve(signal, 16, true)));
    if (box.children.length && clip.seconds) row("clock", "", make("span", {}, make("span", {}, "0"), make("span", {}, `${clip.seconds.toFixed(2)} s`)));
    return box;
  };

  const tags = clip => {
    const box = make("ul", { class: "tags" });
    const tag = (kind, ...text) => box.append(make("li", { class: kind }, ...text));
    if (clip.refused) tag("refusal", `refused by ${clip.stage}: ${clip.reason}`);
    const unsure = clip.sure < data.sure_from ? ", unsure" : "";
    if (clip.emotion) tag("emotion", clip.emotion, clip.sure === undefined ? "" : ` ${clip.sure.toFixed(2)}${unsure}`);
    for (const [kind] of data.chunk_tasks) {
      const labels = clip[kind + "_labels"];
      if (!labels) continue;
      const { high, all } = tally(labels);
      tag(kind, `${kind} ${high}/${all} high`);
    }
    for (const [name, label] of Object.entries(clip.targets || {})) tag("target", `${name} ${label}`);
    return box;
  };
  const rowOf = clip => {
    const facts = [clip.corpus, clip.speaker || "", clip.seconds === undefined ? "" : `${clip.seconds.toFixed(2)}\u00a0s`];
    const link = make("a", { href: address(clip.id), title: "Link to this clip" }, make("code", {}, clip.id));
    const who = make("div", { class: "who" }, make("p", {}, link), make("p", { class: "facts" }, facts.filter(Boolean).join(" · ")), tags(clip));
    if (clip.refused) {
      const words = [data.reasons[clip.reason], clip.detail].filter(Boolean).join(": ");
      return make("li", { class: "clip refused" }, who, make("p", { class: "why" }, words));
    }
    const row = make("li", { class: "clip" }, who);
    if (clip.pictures) row.append(make("div", { class: "thumbnails" }, ...clip.pictures.map(([seconds, jpeg]) =>
      make("img", { src: `data:image/jpeg;base64,${jpeg}`, width: 80, height: 80, alt: `Face at ${seconds.toFixed(2)} s`, title: `${seconds.toFixed(2)} s` }))));
    row.append(traces(clip));
    return row;
  };

  const show = () => {
    const kept = found(), last = Math.max(0, Math.ceil(kept.length / PER_PAGE) - 1);
    page = Math.min(page, last);
    const begin = page * PER_PAGE, shown = kept.slice(begin, begin + PER_PAGE);
    list.replaceChildren(...shown.map(rowOf));
    const of = `of ${clips.length.toLocaleString("en")} clips`;
    if (only !== null) status.textContent = kept.length ? `The clip ${only}. ` : `No clip ${only} is among those shown here. `;
    else if (!kept.length) status.textContent = `None ${of} fits. `;
    else status.textContent = `${kept.length.toLocaleString("en")} ${of}` + (last ? `; ${begin + 1} to ${begin + shown.length} are shown. ` : ". ");
    if (only !== null) {
      const back = make("button", { type: "button" }, "Show all");
      back.addEventListener("click", () => { history.replaceState(null, "", "#clips"); only = null; page = 0; show(); });
      status.append(back);
    }
    const turn = (name, to) => {
      const button = make("button", { type: "button" }, name);
      button.disabled = to < 0 || to > last;
      button.addEventListener("click", () => { page = to; show(); list.focus({ preventScroll: true }); status.scrollIntoView({ behavior: "instant" }); });
      return button;
    };
    pages.replaceChildren(...(last ? [turn("Previous", page - 1), make("span", {}, `Page ${page + 1} of ${last + 1}`), turn("Next", page + 1)] : []));
  };
  const follow = () => {
    if (!location.hash.startsWith("#clip=")) return;
    try { only = wellFormed(decodeURIComponent(location.hash.slice(6))); } catch { only = location.hash.slice(6); }
    page = 0;
    show();
    const section = document.getElementById("clips"), fold = section.closest("details");
    if (fold) fold.open = true;
    section.scrollIntoView({ behavior: "instant" });
    list.focus({ preventScroll: true });
  };

  fillIn();
  const again = () => { only = null; page = 0; show(); };
  for (const kind of ["input", "change"]) form.addEventListener(kind, again);
  form.addEventListener("submit", event => event.preventDefault());
  form.addEventListener("reset", () => setTimeout(again));
  window.addEventListener("hashchange", follow);
  show();
  follow();
})();
