// The review page: walks the queue, shows a sheet, keeps decisions until the server has them. Without a server (see
// static.py) it reads the queue from its own files, and decisions stay here until they are saved as corrections.
"use strict";

const LONGEST_SHOWN = 500; // characters of one text
const AHEAD = 3; // sheets loaded before they are asked for
const EVERY = 4000; // milliseconds between looks at what others decided
const TOGETHER = 200; // decisions sent at once
const PLACE = location.pathname.replace(/[^/]*$/, "");
const PENDING = `sheetlens-review:${PLACE}:`, ASIDE = `sheetlens-refused:${PLACE}:`;
const CLOSER = 1.5, DEEPEST = 12; // one step of the zoom, and its end
const files = globalThis.sheetlensFiles; // where there is no server
const at = (id) => document.getElementById(id);
const known = new Map(); // key -> reviewer -> decisions that stand, in order
const undone = new Set(), seen = new Set();
const details = new Map(), pictures = new Map();
let queue, places = new Map(), chosen = [], position = 0, next = 0, mine = [], sending = false, zoom = 1, overlaid = false;

function clip(text) {
  return text.length > LONGEST_SHOWN ? `${text.slice(0, LONGEST_SHOWN)}…` : text;
}

function element(name, text, attributes = {}) {
  const made = Object.assign(document.createElement(name), attributes);
  made.append(text);
  return made;
}

const reviewer = () => at("reviewer").value.trim();
const own = (key) => known.get(key)?.get(reviewer())?.at(-1);
const sheetKey = () => queue.keys[chosen[position]];

// What counts of the decisions

function note(entry) {
  if (seen.has(entry.id)) return;
  seen.add(entry.id);
  const byReviewer = known.get(entry.key) ?? new Map();
  if (entry.decision === "undo") undone.add(entry.undoes);
  else byReviewer.set(entry.reviewer, [...(byReviewer.get(entry.reviewer) ?? []), entry]);
  for (const [name, made] of byReviewer) {
    const kept = made.filter((one) => !undone.has(one.id));
    if (kept.length) byReviewer.set(name, kept);
    else byReviewer.delete(name);
  }
  known.set(entry.key, byReviewer);
}

function disagree(key) {
  const answers = [...(known.get(key)?.values() ?? [])].map((made) => made.at(-1).decision + made.at(-1).label);
  return new Set(answers).size > 1;
}

// Decisions on their way to the server: one item of the browser's store each, so that tabs do not meet

function stored(prefix) {
  const names = Object.keys(localStorage).filter((name) => name.startsWith(prefix));
  const entries = names.map((name) => JSON.parse(localStorage.getItem(name)));
  return entries.sort((a, b) => a.made - b.made);
}

const pending = () => stored(PENDING);

function setAside(entry, why) {
  localStorage.setItem(ASIDE + entry.id, JSON.stringify({ ...entry, why }));
  localStorage.removeItem(PENDING + entry.id);
  note({ id: `refused ${entry.id}`, key: entry.key, decision: "undo", undoes: entry.id });
  showAside();
  showDecisions();
}

function showAside() {
  const refused = stored(ASIDE);
  const forget = () => {
    for (const entry of refused) localStorage.removeItem(ASIDE + entry.id);
    showAside();
  };
  at("aside").replaceChildren();
  if (!refused.length) return;
  const told = refused.slice(0, 3).map(({ reviewer: who, time, label, decision }) => clip(`${who}, ${time.slice(0, 16).replace("T", " ")}: ${label || decision}`));
  const counted = refused.length === 1 ? "1 decision, which does" : `${refused.length} decisions, which do`;
  at("aside").append(
    `The server refused ${counted} not count (${clip(refused[0].why)}): ${told.join("; ")}${refused.length > 3 ? "; and so on" : ""}. All others go on.`,
    element("button", "Try again", { type: "button", onclick: () => {
      for (const { why, ...entry } of refused) localStorage.setItem(PENDING + entry.id, JSON.stringify(entry));
      forget();
      location.reload();
    } }),
    element("button", "Forget", { type: "button", onclick: forget }),
  );
}

async function send() {
  if (sending || files) return;
  sending = true;
  try {
    for (let some, count = TOGETHER; (some = pending().slice(0, count)).length; ) {
      const headers = { "Content-Type": "application/json", "X-Sheetlens-Review": "1" };
      const answer = await fetch("decisions", { method: "POST", headers, body: JSON.stringify(some) });
      if (answer.status === 400) { // one of them is no decision: it must not hold the others up
        if (some.length === 1) setAside(some[0], await answer.text());
        count = some.length === 1 ? TOGETHER : 1;
        continue;
      }
      if (!answer.ok) throw new Error(await answer.text());
      for (const id of (await answer.json()).kept) localStorage.removeItem(PENDING + id);
    }
    at("trouble").textContent = "";
  } catch (error) {
    at("trouble").textContent = `${pending().length} decisions are kept in this browser until the server takes them (${error.message}).`;
  } finally {
    sending = false;
  }
}

async function look() {
  await send();
  try {
    const answer = await (await fetch(`decisions?since=${next}`)).json();
    if (answer.entries.length) {
      answer.entries.forEach(note);
      next = answer.next;
      showDecisions();
    }
  } catch {
    // `send` tells of a server that is away
  }
  setTimeout(look, EVERY);
}

// What a person does

function decide(decision, label = "", undoes = "", key = sheetKey()) {
  if (!reviewer()) {
    at("reviewer").focus();
    at("trouble").textContent = "Write your name first: every decision carries it.";
    return false;
  }
  const id = Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) => byte.toString(16).padStart(2, "0")).join("");
  const made = performance.timeOrigin + performance.now();
  const entry = { id, key, reviewer: reviewer(), decision, label, undoes, time: new Date().toISOString(), made };
  try {
    localStorage.setItem(PENDING + id, JSON.stringify(entry));
  } catch {
    at("trouble").textContent = "This browser has no room for more decisions: this one was not kept.";
    return false;
  }
  note(entry);
  send();
  return entry;
}

function choose(decision, label) {
  const entry = chosen.length && decide(decision, label);
  if (!entry) return;
  mine.push({ entry, position });
  step(1);
}

function undo() {
  const last = mine.pop();
  if (!last) return;
  decide("undo", "", last.entry.id, last.entry.key);
  position = Math.max(0, chosen.indexOf(places.get(last.entry.key)));
  show();
}

function step(by) {
  position = Math.min(Math.max(position + by, 0), Math.max(chosen.length - 1, 0));
  show();
}

function flip() {
  const current = queue.current[chosen[position]];
  if (queue.classes.length === 2 && current >= 0) choose("class", queue.classes[1 - current]);
}

function accept() {
  const current = queue.current[chosen[position]];
  if (current >= 0) choose("class", queue.classes[current]);
}

const KEYS = {
  a: accept, Enter: accept, f: flip, u: () => choose("unsure", ""), s: () => step(1), " ": () => step(1),
  ArrowRight: () => step(1), ArrowLeft: () => step(-1), z: undo, Backspace: undo,
  "+": () => lookCloser(zoom * CLOSER), "=": () => lookCloser(zoom * CLOSER), "-": () => lookCloser(zoom / CLOSER), 0: () => lookCloser(1),
  e: toggleEvidence,
};
const MOVES = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] }; // with Shift

document.addEventListener("keydown", (event) => {
  if (!queue || event.ctrlKey || event.metaKey || event.altKey || event.target.matches("input, select")) {
    if (event.target.matches("input") && event.key === "Enter") event.target.blur();
    return;
  }
  if (event.target.matches("button") && (event.key === "Enter" || event.key === " ")) return;
  if (event.shiftKey && MOVES[event.key]) {
    event.preventDefault();
    const [across, down] = MOVES[event.key], figure = at("sheet");
    figure.scrollBy(across * figure.clientWidth / 5, down * figure.clientHeight / 5);
    return;
  }
  const number = Number(event.key);
  const action = number >= 1 && number <= queue.classes.length ? () => choose("class", queue.classes[number - 1]) : KEYS[event.key];
  if (!action) return;
  event.preventDefault();
  action();
});

// A closer look: the picture outgrows its frame, which scrolls

function lookCloser(to, x = 0.5, y = 0.5) { // x, y: the point that stays where it is, in shares of the frame
  const figure = at("sheet"), picture = at("picture");
  const middle = [x * figure.clientWidth, y * figure.clientHeight];
  const point = [figure.scrollLeft + middle[0], figure.scrollTop + middle[1]];
  const growth = Math.min(Math.max(to, 1), DEEPEST) / zoom;
  zoom *= growth;
  figure.classList.toggle("close", zoom > 1);
  picture.style.width = picture.style.height = zoom > 1 ? `${100 * zoom}%` : "";
  figure.scrollTo(point[0] * growth - middle[0], point[1] * growth - middle[1]);
  if (zoom === growth && zoom > 1 && chosen.length) showPicture(); // the large one, once
}

function pointed(event) {
  const frame = at("sheet").getBoundingClientRect();
  return [(event.clientX - frame.left) / frame.width, (event.clientY - frame.top) / frame.height];
}

function watchPointer() {
  const figure = at("sheet");
  let start = null, held = false;
  figure.addEventListener("wheel", (event) => {
    event.preventDefault();
    lookCloser(event.deltaY < 0 ? zoom * CLOSER ** 0.5 : zoom / CLOSER ** 0.5, ...pointed(event));
  }, { passive: false });
  figure.addEventListener("pointerdown", (event) => {
    start = { x: event.clientX, y: event.clientY, left: figure.scrollLeft, top: figure.scrollTop };
    held = event.pointerType === "mouse" && event.button === 0;
  });
  addEventListener("pointermove", (event) => {
    if (held) figure.scrollTo(start.left + start.x - event.clientX, start.top + start.y - event.clientY);
  });
  for (const end of ["pointerup", "pointercancel"]) addEventListener(end, () => { held = false; });
  figure.addEventListener("click", (event) => {
    const dragged = start && Math.hypot(event.clientX - start.x, event.clientY - start.y) > 4;
    if (!dragged) lookCloser(zoom > 1 ? 1 : CLOSER ** 2, ...pointed(event));
  });
}

// What the model saw, laid over the sheet

async function toggleEvidence() {
  if (!queue.evidence || !chosen.length) return;
  const key = sheetKey();
  showEvidence(!overlaid, overlaid ? "" : "Looking for the evidence…");
  if (overlaid) {
    const found = await fetch(`evidence/${key}.json`).then(async (answer) => answer.ok ? answer.json() : { fault: await answer.text() }, (error) => ({ fault: error.message }));
    if (!overlaid || sheetKey() !== key) return;
    if (found.fault) return showEvidence(false, clip(`There is no map of this sheet: ${found.fault}`));
    const doubt = found.sane ? "" : ` Do not read it: an untrained network gives the like (correlation ${found.random.toFixed(2)}).`;
    showEvidence(true, `Coloured: what speaks for “${clip(found.answer)}”.${doubt}`);
  }
  showPicture();
}

function showEvidence(shown, text) {
  overlaid = shown;
  at("evidence").textContent = text;
  at("evidence-button")?.setAttribute("aria-pressed", String(shown));
}

// Corrections without a server: the table that `sheetlens review --export` writes (see export.py)

async function settle(key) {
  const given = [...known.get(key).values()].map((made) => made.at(-1)), sheet = await detail(key);
  const agreed = new Set(given.map((entry) => `${entry.decision} ${entry.label}`)).size === 1;
  const [{ decision, label }] = given;
  const kind = decision === "unsure" ? "unsure" : label === sheet.before ? "accepted" : "changed";
  return {
    image_id: sheet.image_id, barcode: sheet.barcode, label_before: sheet.before, label_after: agreed ? label : "",
    decision: agreed ? kind : "disagreement", reviewer: given.map((entry) => entry.reviewer).sort().join("; "),
    time: `${given.map((entry) => entry.time).sort().at(-1).slice(0, 19)}+00:00`, reason: sheet.reasons.join("; "),
  };
}

function cell(text) {
  const safe = /^'*[=+\-@\t\r]/.test(text) ? `'${text}` : text; // no formula for a spreadsheet
  return `"${safe.replaceAll('"', '""')}"`;
}

async function saveCorrections() {
  const decided = queue.keys.filter((key) => known.get(key)?.size);
  const rows = await Promise.all(decided.map(settle)).catch(() => null);
  if (!rows) {
    at("trouble").textContent = "A file of the folder sheets is missing: without it nothing can be saved.";
    return;
  }
  rows.sort((a, b) => (a.image_id < b.image_id ? -1 : 1));
  const table = [queue.columns, ...rows.map((row) => queue.columns.map((name) => row[name]))];
  const lines = table.map((row) => `${row.map(cell).join(",")}\n`);
  const address = URL.createObjectURL(new Blob(lines, { type: "text/csv" }));
  element("a", "", { href: address, download: "corrections.csv" }).click();
  setTimeout(() => URL.revokeObjectURL(address), EVERY);
}

// What is shown

function filter() {
  const reason = at("reason").value, label = at("class").value, decided = at("decided").value;
  chosen = [];
  for (let place = 0; place < queue.keys.length; place += 1) {
    const marks = queue.marks[place], key = queue.keys[place];
    if (reason === "doubtful" ? !marks : reason !== "all" && !(marks & Number(reason))) continue;
    if (label !== "" && queue.current[place] !== Number(label)) continue;
    if (decided === "open" && own(key)) continue;
    if (decided === "done" && !own(key)) continue;
    if (decided === "split" && !disagree(key)) continue;
    chosen.push(place);
  }
  position = 0;
  show();
}

async function fromFiles(key) {
  const place = places.get(key), number = Math.floor(place / queue.together);
  if (!files.sheets[number]) {
    const script = Object.assign(document.createElement("script"), { src: `sheets/${number}.js` });
    await new Promise((loaded, failed) => {
      Object.assign(script, { onload: loaded, onerror: failed });
      document.head.append(script);
    });
  }
  return files.sheets[number][place % queue.together];
}

async function detail(key) {
  if (files) return fromFiles(key);
  if (!details.has(key)) {
    if (details.size > 200) details.clear();
    details.set(key, fetch(`sheets/${key}.json`).then((answer) => answer.json()));
    details.get(key).catch(() => details.delete(key));
  }
  return details.get(key);
}

function preload() {
  for (const place of chosen.slice(position + 1, position + 1 + AHEAD)) {
    const key = queue.keys[place];
    detail(key).catch(() => {});
    if (!pictures.has(key)) pictures.set(key, Object.assign(new Image(), { src: `pictures/${key}.jpg` }));
  }
  for (const key of [...pictures.keys()].slice(0, -2 * AHEAD)) pictures.delete(key);
}

function showPicture() {
  const larger = zoom > 1 && !files ? "?large" : "";
  at("picture").src = overlaid ? `evidence/${sheetKey()}.jpg` : `pictures/${sheetKey()}.jpg${larger}`;
}

async function show() {
  at("nothing").hidden = chosen.length > 0;
  at("picture").hidden = !chosen.length;
  showDecisions();
  if (!chosen.length) return;
  const key = sheetKey();
  lookCloser(1);
  showEvidence(false, "");
  showPicture();
  preload();
  const found = await detail(key).catch(() => null);
  if (!found || sheetKey() !== key) return;
  at("picture").alt = clip(`Photograph of the sheet ${found.image_id}`);
  at("name").textContent = clip(found.image_id);
  const texts = new Map(queue.reasons);
  at("why").replaceChildren(...found.reasons.map((name) => element("li", texts.get(name))));
  at("reason-given").textContent = clip(found.reason);
  const scores = found.probabilities ?? [];
  at("scores").hidden = !scores.length;
  at("scores").tBodies[0].replaceChildren(...scores.map((score, number) => {
    const row = element("tr", element("th", clip(queue.classes[number]), { scope: "row", dir: "auto" }));
    row.append(element("td", score > 0.9995 ? "over 0.999" : score.toFixed(3)));
    return row;
  }));
  const record = [["stands as", found.before], ["barcode", found.barcode], ...found.record].filter(([, value]) => value);
  if (found.distance !== null) record.push(["distance", found.distance.toFixed(2)]);
  at("record").replaceChildren(...record.flatMap(([term, value]) => [element("dt", term), element("dd", clip(value), { dir: "auto" })]));
}

function showDecisions() {
  const done = chosen.reduce((count, place) => count + Boolean(own(queue.keys[place])), 0);
  at("progress").textContent = chosen.length ? `sheet ${position + 1} of ${chosen.length}, ${done} decided by you` : "no sheets";
  if (!chosen.length) return;
  const key = sheetKey(), decision = own(key);
  const buttons = queue.classes.map((name, number) => [String(number + 1), name, decision?.decision === "class" && decision.label === name]);
  const current = queue.current[chosen[position]];
  const hint = (number) => (number === current ? " (a: as it is)" : current >= 0 && queue.classes.length === 2 ? " (f: flip)" : "");
  const made = buttons.map(([key, name, pressed], number) => button(key, clip(name) + hint(number), pressed, () => choose("class", name)));
  made.push(button("u", "unsure", decision?.decision === "unsure", KEYS.u));
  made.push(button("s", "skip"), button("z", "undo my last decision"));
  at("choices").replaceChildren(...made);
  const others = [...(known.get(key) ?? [])].filter(([name]) => name !== reviewer());
  const said = others.map(([name, entries]) => `${clip(name)}: ${clip(entries.at(-1).label || "unsure")}`).join("; ");
  at("others").textContent = said && (disagree(key) ? `Reviewers disagree. ${said}` : `Others agree. ${said}`);
}

function button(key, text, pressed, action = KEYS[key]) {
  const made = element("button", element("kbd", key), { type: "button", onclick: action });
  made.append(element("bdi", text));
  if (pressed !== undefined) made.setAttribute("aria-pressed", String(pressed));
  return made;
}

async function start() {
  at("reviewer").value = localStorage.getItem("sheetlens-reviewer") ?? "";
  queue = files ? files.queue : await (await fetch("queue.json")).json();
  places = new Map(queue.keys.map((key, place) => [key, place]));
  at("title").textContent = clip(queue.title);
  at("warning").textContent = queue.warning;
  const reasons = [["doubtful", "all doubtful"], ...queue.reasons.map(([, text], bit) => [1 << bit, text]), ["all", "every sheet"]];
  at("reason").append(...reasons.map(([value, text]) => element("option", text, { value })));
  at("class").append(...queue.classes.map((name, number) => element("option", clip(name), { value: number })));
  for (const name of ["reason", "class", "decided"]) at(name).addEventListener("change", filter);
  at("reviewer").addEventListener("change", () => {
    localStorage.setItem("sheetlens-reviewer", reviewer());
    at("trouble").textContent = "";
    showDecisions();
  });
  at("picture").addEventListener("error", () => { at("picture").hidden = !(at("unshown").hidden = false); });
  at("picture").addEventListener("load", () => { at("picture").hidden = !(at("unshown").hidden = true); });
  const tools = [["+", "closer"], ["-", "farther"], ["0", "whole sheet"]];
  at("tools").append(...tools.map(([key, text]) => button(key, text)));
  if (queue.evidence) at("tools").append(Object.assign(button("e", "evidence", false), { id: "evidence-button" }));
  if (files) at("kept").append("Decisions are kept in this browser only. ", element("button", "Save corrections", { type: "button", onclick: saveCorrections }));
  watchPointer();
  showAside();
  filter();
  pending().forEach(note);
  if (files) showDecisions();
  else look();
}

start();
