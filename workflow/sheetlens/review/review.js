// The review page: walks the queue, shows a sheet, keeps decisions until the server has them. Without a server (see
// static.py) it reads the queue from its own files, and decisions stay here until they are saved as corrections.
"use strict";

const LONGEST_SHOWN = 500; // characters of one text
const AHEAD = 3; // sheets loaded before they are asked for
const EVERY = 4000, SELDOM = 16000; // milliseconds between looks at what others decided; at most, while nothing comes of it
const LONGEST_WAIT = 30000; // milliseconds for an answer: a laptop that slept would wait for ever
const TOGETHER = 200; // decisions sent at once
const FAULTS = 3; // faults of the server's with one decision, after which it is put aside
const PLACE = location.pathname.replace(/[^/]*$/, "");
const PENDING = `sheetlens-review:${PLACE}:`, ASIDE = `sheetlens-refused:${PLACE}:`; // and what follows
const CLOSER = 1.5, DEEPEST = 12; // one step of the zoom, and its end
const files = globalThis.sheetlensFiles; // where there is no server
const at = (id) => document.getElementById(id);
const known = new Map(); // key -> reviewer -> decisions that stand, in order
const undone = new Set(), seen = new Set();
const details = new Map(), pictures = new Map();
let queue, places = new Map(), chosen = [], position = 0, next = 0, mine = [], sending = false, zoom = 1, overlaid = false;
let wait = EVERY, timer = 0, troubled = false, gone = false; // gone: another run is served here now

function clip(text) {
  return text.length > LONGEST_SHOWN ? `${text.slice(0, LONGEST_SHOWN)}…` : text;
}

function element(name, text, attributes = {}) {
  const made = Object.assign(document.createElement(name), attributes);
  made.append(text);
  return made;
}

const reviewer = () => at("reviewer").value.replace(/\p{Cs}/gu, "").trim(); // a name cut within an emoji is no text
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

// Decisions on their way to the server: one item of the browser's store each, so that tabs do not meet. Each names its
// run: the store belongs to the address, and another run may be served there next time.

function stored(prefix) {
  const entries = Object.keys(localStorage).filter((name) => name.startsWith(prefix)).map((name) => {
    try {
      return { ...JSON.parse(localStorage.getItem(name)), name };
    } catch {
      return null; // not ours, or damaged: it stays where it is
    }
  });
  return entries.filter((entry) => entry?.id).sort((a, b) => a.made - b.made);
}

const pending = () => stored(PENDING).filter((entry) => entry.run === queue.run);
const strangers = () => stored(PENDING).filter((entry) => entry.run !== queue.run);
const count = (number) => (number === 1 ? "1 decision" : `${number} decisions`);

function keep(entry) {
  localStorage.setItem(`${PENDING}${entry.run}:${entry.id}`, JSON.stringify(entry));
}

function setAside(entry, why) {
  localStorage.setItem(`${ASIDE}${entry.run}:${entry.id}`, JSON.stringify({ ...entry, why }));
  localStorage.removeItem(entry.name);
  note({ id: `refused ${entry.id}`, key: entry.key, decision: "undo", undoes: entry.id });
  showAside();
  showDecisions();
}

function showAside() {
  const refused = stored(ASIDE).filter((entry) => entry.run === queue.run);
  const forget = () => {
    for (const entry of refused) localStorage.removeItem(entry.name);
    showAside();
  };
  at("aside").replaceChildren();
  if (!refused.length) return;
  const told = refused.slice(0, 3).map(({ reviewer: who, time, label, decision }) => clip(`${who}, ${time.slice(0, 16).replace("T", " ")}: ${label || decision}`));
  const counted = `${count(refused.length)}, which ${refused.length === 1 ? "does" : "do"}`;
  at("aside").append(
    `The server refused ${counted} not count (${clip(refused[0].why)}): ${told.join("; ")}${refused.length > 3 ? "; and so on" : ""}. All others go on.`,
    element("button", "Try again", { type: "button", onclick: () => {
      for (const { why, name, ...entry } of refused) keep(entry);
      forget();
      location.reload();
    } }),
    element("button", "Forget", { type: "button", onclick: forget }),
  );
}

function showStrangers() {
  const others = strangers();
  at("elsewhere").replaceChildren();
  if (!others.length) return;
  const runs = [...new Set(others.map((entry) => entry.run ? `“${clip(entry.folder)}”` : "a run that an earlier version of Sheetlens served"))];
  const whose = others.length === 1 ? "it was made" : "they were made";
  at("elsewhere").append(
    `${count(others.length)} in this browser did not reach the server and ${others.length === 1 ? "is" : "are"} not of this run: ${whose} in ${runs.join(" and ")}. `
      + "Start the review of that run at this address again, in the same version, and open the page: then they are handed over. ",
    element("button", others.length === 1 ? "Forget it" : "Forget them", { type: "button", onclick: () => {
      if (!confirm(`Forget ${count(others.length)} of ${runs.join(" and ")} for ever?`)) return;
      for (const entry of others) localStorage.removeItem(entry.name);
      showStrangers();
    } }),
  );
}

async function ask(address, options = {}) {
  const answer = await fetch(address, { ...options, signal: AbortSignal.timeout(LONGEST_WAIT) });
  if (answer.ok) return answer;
  throw Object.assign(new Error(clip(await answer.text())), { status: answer.status });
}

async function hand(some) {
  const headers = { "Content-Type": "application/json", "X-Sheetlens-Review": "1" };
  const body = JSON.stringify(some.map(({ name, ...entry }) => entry));
  const { kept } = await (await ask("decisions", { method: "POST", headers, body })).json();
  for (const entry of some) if (kept.includes(entry.id)) localStorage.removeItem(entry.name);
  return kept.length;
}

async function send() {
  if (sending || files || gone) return true;
  sending = true;
  let delivered = 0;
  const faults = new Map();
  try {
    for (let some, size = TOGETHER; (some = pending().slice(0, size)).length; ) {
      try {
        delivered += await hand(some);
      } catch (error) { // of these, one of them may be at fault: it must not hold the others up
        if (![400, 413, 500].includes(error.status)) throw error;
        const [first] = some, found = (faults.get(first.id) ?? 0) + 1;
        if (some.length === 1) faults.set(first.id, found);
        if (some.length === 1 && (error.status !== 500 || found === FAULTS)) setAside(first, error.message);
        size = some.length === 1 && error.status !== 500 ? TOGETHER : 1;
      }
    }
    if (delivered) calm(delivered);
    return true;
  } catch (error) {
    trouble(error);
    return false;
  } finally {
    sending = false;
  }
}

function trouble(error) {
  const waiting = pending().length, kept = waiting ? `${count(waiting)} ${waiting === 1 ? "is" : "are"} kept in this browser` : "What you decide is kept in this browser";
  troubled = true;
  at("told").textContent = "";
  gone = error.status === 409;
  const why = error.status ? `the server says: ${error.message}` : "the server does not answer; is it running, and is there a network?";
  at("trouble").textContent = gone
    ? `This page is of the run “${clip(queue.folder)}”, and ${error.message}. ${kept} for when “${clip(queue.folder)}” is served here again. Load the page anew to go on with the other run.`
    : `${kept} until the server takes them (${why}).`;
}

function calm(delivered) {
  if (troubled) at("told").textContent = delivered ? `The server answers again and has taken ${count(delivered)} that ${delivered === 1 ? "was" : "were"} kept in this browser.` : "The server answers again.";
  else if (delivered) at("told").textContent = "";
  at("trouble").textContent = "";
  if (!troubled) return;
  troubled = false;
  pictures.clear();
  if (!at("unshown").hidden) show(); // what did not come while the server was away
}

async function look() {
  clearTimeout(timer);
  try {
    if (await send()) {
      const answer = await (await ask(`decisions?since=${next}&run=${queue.run}`)).json();
      if (answer.entries.length) {
        answer.entries.forEach(note);
        showDecisions();
      }
      next = answer.next;
      calm(0);
    }
  } catch (error) {
    trouble(error);
  }
  wait = troubled ? Math.min(2 * wait, SELDOM) : EVERY;
  clearTimeout(timer);
  if (!gone) timer = setTimeout(look, wait);
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
  const entry = { id, run: queue.run, folder: queue.folder, key, reviewer: reviewer(), decision, label, undoes, time: new Date().toISOString(), made };
  try {
    keep(entry);
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

// No formula for a spreadsheet: the same as FORMULA in common/tables.py, and a test compares them
const SIGN = "[=+\\-@\\u207a\\u207c\\u208a\\u208c\\u2212\\ufe62\\ufe63\\ufe66\\ufe6b\\uff0b\\uff0d\\uff1d\\uff20]";
const BREAK = "\\t\\n\\v\\f\\r;\\x85\\u2028\\u2029";
const UNSEEN = "[\\x00-\\x08\\x0e-\\x20\\x7f-\\x84\\x86-\\xa0\\xad\\u1680\\u180e\\u2000-\\u200f\\u202a-\\u202f\\u205f-\\u206f\\u3000\\ufeff\"']*";
const FORMULA = new RegExp(`(?:^|(?<=[${BREAK}]))(?=${UNSEEN}${SIGN})|^(?='*[\\x00\\t\\n\\r])`, "g");

function cell(text) {
  return `"${text.replace(FORMULA, "'").replaceAll('"', '""')}"`;
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

async function showNoPicture() { // of this file, or of no file while the server is away
  at("picture").hidden = !(at("unshown").hidden = false);
  const address = at("picture").src;
  const there = files || await fetch(address, { signal: AbortSignal.timeout(LONGEST_WAIT) }).then((answer) => answer.status === 404, () => false);
  if (at("picture").src !== address) return;
  at("unshown").textContent = there ? "There is no picture to show of this file." : "The picture did not come: the server does not answer.";
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
  try {
    queue = files ? files.queue : await (await ask("queue.json")).json();
  } catch (error) {
    at("trouble").textContent = `The queue did not come (${error.message || "the server does not answer"}). What you decided is kept in this browser; load the page again when the server answers.`;
    return;
  }
  places = new Map(queue.keys.map((key, place) => [key, place]));
  at("title").textContent = clip(queue.title);
  at("run").textContent = clip(queue.folder);
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
  at("picture").addEventListener("error", showNoPicture);
  at("picture").addEventListener("load", () => { at("picture").hidden = !(at("unshown").hidden = true); });
  const tools = [["+", "closer"], ["-", "farther"], ["0", "whole sheet"]];
  at("tools").append(...tools.map(([key, text]) => button(key, text)));
  if (queue.evidence) at("tools").append(Object.assign(button("e", "evidence", false), { id: "evidence-button" }));
  if (files) at("kept").append("Decisions are kept in this browser only. ", element("button", "Save corrections", { type: "button", onclick: saveCorrections }));
  watchPointer();
  showAside();
  showStrangers();
  filter();
  pending().forEach(note);
  if (files) return showDecisions();
  for (const name of ["online", "pageshow", "focus"]) addEventListener(name, () => { wait = EVERY; look(); });
  document.addEventListener("visibilitychange", () => { if (!document.hidden) look(); });
  look();
}

start();
