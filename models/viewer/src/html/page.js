"use strict";
// Everything that is shown stands on the page or in #data. Nothing is asked of anyone.
(() => {
  const data = JSON.parse(document.getElementById("data").textContent);
  const id = name => document.getElementById(name);
  const words = [...document.querySelectorAll("ol.words li[data-step]")];
  const lines = [...document.querySelectorAll("#drawing .message")];
  const away = new Set();
  let at = -1, actor = null, field = null, found = [], sought = 0;

  const make = (tag, text, className) => {
    const made = document.createElement(tag);
    if (text !== undefined) made.textContent = text;
    if (className) made.className = className;
    return made;
  };

  // The value of a field after a step, and the step that wrote it.
  const value = (one, step) => {
    let known = null;
    for (const [when, what] of one.written) {
      if (when > step) break;
      known = [when, what];
    }
    return known;
  };

  const over = message => message.at === null || message.at === undefined ? Infinity : message.at;
  const touches = (message, step) =>
    message.sent === step || message.at === step || message.copies.includes(step);

  const link = step => {
    const made = make("a", step === 0 ? "start" : `step ${step}`);
    made.href = `#step=${step}`;
    return made;
  };

  function showState() {
    const still = id("still").checked;
    const all = make("div");
    let process = null, body = null;
    for (const one of data.fields) {
      const actorOf = one.process.split(".")[0];
      if (away.has(actorOf)) continue;
      const now = value(one, at);
      const changed = at > 0 && one.written.some(([when]) => when === at);
      const lives = now && now[1] !== null;
      if (!lives && !changed) continue;
      const rests = one.empty || one.bookkeeping || one.written.length === 1 && one.written[0][0] === 0;
      if (!still && !one.named && rests) continue;
      if (one.process !== process) {
        process = one.process;
        const lane = data.actors.find(lane => lane.name === actorOf);
        const head = make("h3", process + " ");
        head.append(make("small", lane ? lane.role : ""));
        const table = make("table");
        body = make("tbody");
        table.append(body);
        all.append(head, table);
      }
      const row = make("tr", undefined, changed ? "new" : "");
      const old = changed ? value(one, at - 1) : null;
      const was = old && old[1] !== null ? old[1] : null;
      const mark = !changed ? "" : !lives ? "-" : was === null ? "+" : "~";
      row.append(make("td", mark, "mark"));
      const path = make("td", undefined, "path");
      const choose = make("button");
      // It may be broken between its parts.
      (one.way || "(all)").split(/(?=\[|\.[a-z])/i).forEach((part, index) => {
        choose.append(...(index > 0 ? [make("wbr"), part] : [part]));
      });
      choose.type = "button";
      if (one.about) choose.title = one.about;
      choose.setAttribute("aria-pressed", String(field === one));
      choose.addEventListener("click", () => { field = field === one ? null : one; showState(); });
      path.append(choose);
      const shown = make("td", undefined, "value");
      const text = !lives ? `(was ${was})` : changed && was !== null ? `${was} → ${now[1]}` : now[1];
      shown.append(make("code", text));
      const when = make("td", undefined, "when");
      when.append(link(now ? now[0] : 0));
      row.append(path, shown, when);
      body.append(row);
    }
    if (!all.firstChild) all.append(make("p", "Nothing of what changes in this run is there yet.", "hint"));
    id("state").replaceChildren(all);
  }

  function showChoices() {
    const list = make("ul");
    const here = [];
    for (const choice of data.choices) {
      const span = choice.spans.find(([from, to]) => from <= at && at <= to);
      if (span) here.push([choice, span[2], choice.taken.includes(at)]);
    }
    here.sort((one, other) => other[2] - one[2]);
    const sorts = { fault: " (a fault)", early: " (an early timer)", outside: " (from outside)", fair: "" };
    const signs = {
      safe: ["✓", "keeps the property", "keep the property"],
      violates: ["✗", "violates the property", "violate the property"],
      doomed: ["!", "leads to a violation, unless something from outside averts it",
        "lead to a violation, unless something from outside averts it"],
      unknown: ["·", "does not violate it at once", "do not violate it at once"],
    };
    const over = data.violated && !data.liveness && at >= data.decisive;
    id("h-choices").textContent = `What can happen next${over ? "" : `, ${id("h-choices").dataset.aim}`}`;
    for (const [choice, leads, taken] of here) {
      const [mark, says] = over ? ["", "the property is violated already"] : signs[leads];
      const item = make("li", undefined, taken ? "taken" : "");
      const sign = make("span", mark, "sign");
      sign.title = says;
      sign.setAttribute("role", "img");
      sign.setAttribute("aria-label", says);
      item.append(sign, choice.what + sorts[choice.sort] + (taken ? " ◀ this happened" : ""));
      list.append(item);
    }
    const counts = Object.keys(signs).map(leads => [leads, here.filter(one => one[1] === leads).length]);
    const told = counts.filter(([, count]) => count > 0)
      .map(([leads, count]) => `${signs[leads][0]} ${count} ${signs[leads][count === 1 ? 1 : 2]}`);
    const summary = make("p", !here.length ? "Nothing can happen any more."
      : over ? "The property is violated already." : told.join(" · "), "hint");
    id("choices").replaceChildren(summary, list);
  }

  function showFlight() {
    const list = make("ul");
    for (const message of data.messages) {
      if (message.sent > at || over(message) <= at) continue;
      const item = make("li");
      const name = make("a", message.name);
      name.href = `#${message.name}`;
      const ends = `${data.actors[message.src].name} → ${data.actors[message.dst].name}`;
      const about = message.about ? ` ${message.about}` : "";
      item.append(name, ` ${message.label}${about} ${ends}, since step ${message.sent}: `, make("code", message.text));
      list.append(item);
    }
    id("flight").replaceChildren(list.firstChild ? list : make("p", "Nothing.", "hint"));
  }

  function showDrawing() {
    const now = words[at];
    words.forEach(word => word.classList.toggle("now", word === now));
    id("now").setAttribute("y", now.offsetTop - words[0].offsetTop);
    id("now").setAttribute("height", now.offsetHeight);
    let some = false;
    lines.forEach((line, index) => {
      const message = data.messages[index];
      const here = touches(message, at);
      some ||= here;
      line.classList.toggle("at", here);
      const hidden = away.has(data.actors[message.src].name) || away.has(data.actors[message.dst].name);
      line.classList.toggle("away", hidden);
    });
    id("drawing").classList.toggle("some", some);
    words.forEach((word, step) => {
      word.classList.toggle("away", step > 0 && away.has(data.by[step - 1]));
    });
    document.querySelectorAll(".head").forEach(head => {
      head.classList.toggle("chosen", head.dataset.actor === actor);
      head.classList.toggle("away", away.has(head.dataset.actor));
    });
    const x = (at + .5) / (data.last + 1) * 240;
    id("tick").setAttribute("d", `M${x.toFixed(1)} 0V14`);
    id("tick").style.visibility = "visible";
  }

  function show(step, { keep = false, still = false } = {}) {
    step = Math.max(0, Math.min(data.last, step));
    const moved = step !== at;
    at = step;
    const title = words[at].querySelector("a, span").textContent.replace(/^step \d+: /, "");
    const bad = data.violated && at === data.decisive ? "✗ " : "";
    id("said").textContent = `${bad}Step ${at} of ${data.last}: ${title}`;
    id("slider").value = at;
    id("slider").setAttribute("aria-valuetext", `step ${at}: ${title}`);
    id("first").disabled = id("back").disabled = at === 0;
    id("forth").disabled = id("end").disabled = at === data.last;
    showDrawing();
    showState();
    showChoices();
    showFlight();
    if (!keep && moved) history.replaceState(null, "", `#step=${at}`);
    if (!still) {
      const box = words[at].getBoundingClientRect();
      const top = 60, bottom = innerHeight - 90;
      if (box.top < top || box.bottom > bottom) {
        words[at].scrollIntoView({ block: "center", inline: "nearest" });
      }
    }
  }

  function asked() {
    const match = /^#step=(\d+)$/.exec(location.hash);
    return match ? Math.min(Number(match[1]), data.last) : null;
  }

  const shownStep = step => !(step > 0 && away.has(data.by[step - 1]));

  // The nearest step in a direction for which something holds.
  function next(direction, holds) {
    for (let step = at + direction; step >= 0 && step <= data.last; step += direction) {
      if (holds(step)) return step;
    }
    return at;
  }

  function search() {
    const text = id("find").value.trim().toLowerCase();
    const rows = [...document.querySelectorAll("#steps tbody tr")];
    found = text ? rows.map((row, step) => row.textContent.toLowerCase().includes(text) ? step : -1)
      .filter(step => step >= 0) : [];
    id("found").textContent = text ? `${found.length} ${found.length === 1 ? "step" : "steps"}` : "";
  }

  function toFound(direction) {
    if (!found.length) return;
    const ahead = direction > 0 ? found.find(step => step > at) : found.findLast(step => step < at);
    show(ahead ?? found.at(direction > 0 ? 0 : -1));
  }

  function tell(text) {
    id("answer").textContent = text;
    id("help").showModal();
  }

  const file = data.file;
  const keys = {
    ArrowLeft: () => show(next(-1, shownStep)), h: () => show(next(-1, shownStep)),
    ArrowRight: () => show(next(1, shownStep)), l: () => show(next(1, shownStep)),
    g: () => show(0), G: () => show(data.last), v: () => show(data.decisive),
    "[": () => show(next(-1, step => data.by[step - 1] === chosen())),
    "]": () => show(next(1, step => data.by[step - 1] === chosen())),
    "{": () => field && show(next(-1, step => field.written.some(([when]) => when === step))),
    "}": () => field && show(next(1, step => field.written.some(([when]) => when === step))),
    w: () => { id("why").scrollIntoView(); id("why").focus({ preventScroll: true }); },
    b: () => tell(`A page cannot run the machines. To choose another action from step ${at}, ` +
      `on a terminal: trace view ${file}, then ${at} times →, then b.`),
    c: () => tell(`A page holds one trace. To compare it with another, on a terminal: trace view ${file}, then c.`),
    f: () => { id("shown").open = true; id("shown").querySelector("input").focus(); },
    "/": () => id("find").focus(),
    n: () => toFound(1), N: () => toFound(-1),
    L: () => {
      if (data.back_to === null) return tell("This run does not repeat itself.");
      show(at === data.back_to + 1 ? data.last : data.back_to + 1);
    },
    s: () => id("h-state").scrollIntoView(),
    "?": () => tell(""),
    q: () => id("help").close(),
  };

  // The chosen actor; if none is, that of the step.
  const chosen = () => actor ?? (actor = data.by[at - 1] ?? null);

  document.addEventListener("keydown", event => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.defaultPrevented) return;
    const typing = event.target.matches("input[type=search]");
    if (typing) {
      if (event.key === "Enter") { toFound(event.shiftKey ? -1 : 1); event.preventDefault(); }
      if (event.key === "Escape") event.target.blur();
      return;
    }
    if (id("help").open && event.key !== "q" && event.key !== "?") return;
    if (event.target.matches("input[type=range]") && event.key.startsWith("Arrow")) return;
    const does = Object.hasOwn(keys, event.key) ? keys[event.key] : null;
    if (!does || (event.key.length === 1 && event.key !== "?" && !id("keyed").checked)) return;
    event.preventDefault();
    if (event.key === "?" && id("help").open) id("help").close(); else does();
  });

  // What a fragment leads to without this script; with it, the diagram is what moves.
  document.querySelectorAll("#steps tr[id]").forEach(row => row.removeAttribute("id"));
  document.documentElement.classList.add("js");
  id("first").addEventListener("click", keys.g);
  id("back").addEventListener("click", keys.h);
  id("forth").addEventListener("click", keys.l);
  id("end").addEventListener("click", keys.G);
  id("bad")?.addEventListener("click", keys.v);
  id("keys").addEventListener("click", keys["?"]);
  id("slider").addEventListener("input", event => show(Number(event.target.value)));
  id("still").addEventListener("change", showState);
  id("find").addEventListener("input", search);
  id("shown").addEventListener("change", event => {
    if (event.target.checked) away.delete(event.target.value); else away.add(event.target.value);
    show(at, { keep: true, still: true });
  });
  words.forEach((word, step) => word.addEventListener("click", event => {
    event.preventDefault();
    show(step, { still: true });
  }));
  document.querySelectorAll(".head").forEach(head => head.addEventListener("click", () => {
    actor = actor === head.dataset.actor ? null : head.dataset.actor;
    showDrawing();
  }));
  addEventListener("hashchange", () => { if (asked() !== null) show(asked(), { keep: true }); });
  const first = asked();
  show(first ?? data.decisive, { keep: true, still: first === null });
})();
