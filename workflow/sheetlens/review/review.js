// The review page: walks the queue, shows a sheet, and hands decisions to the keeper (keep.js). Without a server (see
// static_page.py) it reads the queue from its own files, and decisions stay here until they are saved as corrections.
"use strict";

const AHEAD = 3; // sheets loaded before they are asked for
const files = globalThis.sheetlensFiles; // where there is no server
const known = new Map(); // key -> reviewer -> decisions that stand, in order
const undone = new Set(), seen = new Set(), decided = new Set(); // decided: reviewer:key, taken back or not
const details = new Map(), pictures = new Map();
let queue, keeper, places = new Map(), chosen = [], alike = [], position = 0, next = 0, mine = [], overlaid = false;

const own = (key) => known.get(key)?.get(reviewer())?.at(-1);
const sheetKey = () => queue.keys[chosen[position]];

// What counts of the decisions

function note(entry) {
  if (seen.has(entry.id)) return;
  seen.add(entry.id);
  if (entry.decision !== "undo") decided.add(`${entry.reviewer}:${entry.key}`);
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

// Blind: the model's prediction, and what others said, are hidden until one's own decision. A decision is blind if neither
// this tab has shown them before, nor the reviewer decided on the sheet before, which shows them.

const veiled = (key) => at("blind").checked && !own(key);
const shownName = (key, who) => `sheetlens-shown:${queue.run}:${who}:${key}`;

function noteShown(key) {
  try {
    sessionStorage.setItem(shownName(key, reviewer()), "");
  } catch { // full, after tens of thousands of sheets
  }
}

function isBlind(key) {
  const shown = [reviewer(), ""].some((who) => sessionStorage.getItem(shownName(key, who)) !== null);
  return veiled(key) && !shown && !decided.has(`${reviewer()}:${key}`);
}

function setBlind() {
  const blind = at("blind").checked;
  at("class").disabled = blind; // it is the model's, or what others said
  for (const option of at("reason").options) option.disabled = blind && Number(option.value) > 0;
  if (blind) at("class").value = "";
  if (at("reason").selectedOptions[0].disabled) at("reason").value = "doubtful";
  filter(chosen.length ? sheetKey() : "");
}

function refuseBlind() { // whether the model's prediction would have to be seen
  if (!chosen.length || !veiled(sheetKey())) return false;
  at("last").textContent = "The model's prediction is hidden until you decided: choose a class by its number.";
  return true;
}

function guess(sheet) {
  if (!sheet.probabilities) return "The model gives it no class.";
  const best = Math.max(...sheet.probabilities), name = clip(queue.classes[sheet.probabilities.indexOf(best)]);
  return `The model takes it for ${name} (${Math.round(100 * best)} %).`;
}

async function look() { // at what others decided
  const answer = await (await ask(`decisions?since=${next}&run=${queue.run}`)).json();
  if (answer.entries.length) {
    answer.entries.forEach(note);
    showDecisions();
  }
  next = answer.next;
}

function takeBack(entry) {
  note({ id: `refused ${entry.id}`, key: entry.key, decision: "undo", undoes: entry.id });
  showDecisions();
}

function refresh() {
  pictures.clear();
  if (!at("unshown").hidden) show(); // what did not come while the server was away
}

// What a person does

function decide(decision, label = "", undoes = "", key = sheetKey()) {
  const entry = keeper.add({ key, decision, label, undoes, blind: isBlind(key) });
  if (entry) note(entry);
  return entry;
}

function choose(decision, label) {
  const hidden = chosen.length && veiled(sheetKey());
  const entry = chosen.length && decide(decision, label);
  if (!entry) return;
  mine.push(entry);
  at("last").textContent = "";
  if (hidden) detail(entry.key).then((sheet) => { at("last").textContent = `You said ${clip(label || decision)}. ${guess(sheet)}`; }, () => {});
  step(1);
}

function undo() {
  const last = mine.at(-1);
  if (!last || !decide("undo", "", last.id, last.key)) return;
  mine.pop();
  at("last").textContent = "";
  position = Math.max(0, chosen.indexOf(places.get(last.key)));
  show();
}

function step(by) {
  position = Math.min(Math.max(position + by, 0), Math.max(chosen.length - 1, 0));
  show();
}

function flip() {
  if (refuseBlind()) return;
  const current = queue.current[chosen[position]];
  if (queue.classes.length === 2 && current >= 0) choose("class", queue.classes[1 - current]);
}

function accept() {
  if (refuseBlind()) return;
  const current = queue.current[chosen[position]];
  if (current >= 0) choose("class", queue.classes[current]);
}

const KEYS = {
  a: accept, Enter: accept, f: flip, u: () => choose("unsure", ""), s: () => step(1), " ": () => step(1),
  ArrowRight: () => step(1), ArrowLeft: () => step(-1), z: undo, Backspace: undo,
  e: toggleEvidence, l: showAlike, b: () => at("blind").click(), ...CLOSER_KEYS,
};

document.addEventListener("keydown", (event) => {
  if (!queue || event.ctrlKey || event.metaKey || event.altKey || event.target.matches("input:not([type=checkbox]), select")) {
    if (event.target.matches("input") && event.key === "Enter") event.target.blur();
    return;
  }
  if (event.target.matches("button, input") && (event.key === "Enter" || event.key === " ")) return;
  if (event.shiftKey && moveSheet(event)) return;
  const number = Number(event.key);
  const action = number >= 1 && number <= queue.classes.length ? () => choose("class", queue.classes[number - 1]) : KEYS[event.key];
  if (!action) return;
  event.preventDefault();
  action();
});

// What the model saw, laid over the sheet

async function toggleEvidence() {
  if (!queue.evidence || !chosen.length || refuseBlind()) return;
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

// More like this one: the sheet, and those of the run nearest to it by their features

async function showAlike() {
  if (!queue.likeness || !chosen.length) return;
  const key = sheetKey();
  const found = await ask(`alike/${key}.json`).then((answer) => answer.json(), (error) => ({ fault: error.message }));
  if (sheetKey() !== key) return;
  if (found.fault) {
    at("last").textContent = `The sheets like this one did not come: ${found.fault}`;
    return;
  }
  alike = [key, ...found.keys].map((one) => places.get(one));
  let option = [...at("reason").options].find((one) => one.value === "alike");
  if (!option) at("reason").append(option = element("option", "", { value: "alike" }));
  option.textContent = `like ${at("name").textContent}`;
  for (const [name, value] of [["reason", "alike"], ["class", ""], ["decided", ""]]) at(name).value = value;
  filter();
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
const SIGN = "[=+\\-@\\u207a-\\u207c\\u208a-\\u208c\\u2212\\u2795\\u2796\\ufb29\\ufe62\\ufe63\\ufe66\\ufe6b\\uff0b\\uff0d\\uff1d\\uff20]";
const BREAK = "\\t\\n\\v\\f\\r;\\x85\\u2028\\u2029";
const UNSEEN = "(?:[\\x00-\\x08\\x0e-\\x20`\\x7f-\\x84\\x86-\\xa0\\xab\\xad\\xb4\\xbb\\u02b9-\\u02bd\\u034f\\u061c\\u115f\\u1160\\u1680\\u17b4\\u17b5\\u180b-\\u180f\\u2000-\\u200f\\u2018-\\u201f\\u202a-\\u202f\\u2032-\\u2037\\u2039\\u203a\\u205f-\\u206f\\u2800\\u3000\\u301d-\\u301f\\u3164\\ufe00-\\ufe0f\\ufeff\\uff02\\uff07\\uff40\\uffa0\\ufff0-\\ufffb\"']|\\ud82f[\\udca0-\\udca3]|\\ud834[\\udd73-\\udd7a]|[\\udb40-\\udb43][\\udc00-\\udfff])*";
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

function filter(stay = "") { // at a sheet, by its key
  const reason = at("reason").value, label = at("class").value, done = at("decided").value;
  const among = reason === "alike" ? alike : queue.keys.keys();
  chosen = [];
  for (const place of among) {
    const marks = queue.marks[place], key = queue.keys[place];
    if (reason === "doubtful" ? !marks : Number(reason) > 0 && !(marks & Number(reason))) continue;
    if (label !== "" && queue.current[place] !== Number(label)) continue;
    if (done === "open" && own(key)) continue;
    if (done === "done" && !own(key)) continue;
    if (done === "split" && !disagree(key)) continue;
    chosen.push(place);
  }
  // The queue's order tells what the model thinks; that of the keys, which are hashes, tells nothing.
  if (at("blind").checked && reason !== "alike") chosen.sort((one, other) => (queue.keys[one] < queue.keys[other] ? -1 : 1));
  position = Math.max(0, chosen.indexOf(places.get(stay)));
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
  if (!chosen.length) return;
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
  const name = clip(found.image_id), file = name.lastIndexOf("/") + 1; // folders are often named after classes
  at("picture").alt = `Photograph of the sheet ${name.slice(file)}`;
  at("name").replaceChildren(element("span", name.slice(0, file), { className: "answer" }), name.slice(file));
  const texts = new Map(queue.reasons), refused = found.reasons.includes("refused");
  at("why").replaceChildren(...found.reasons.map((reason) => element("li", texts.get(reason), { className: reason === "refused" ? "" : "answer" })));
  at("reason-given").textContent = clip(found.reason);
  at("reason-given").className = refused ? "" : "answer";
  const scores = found.probabilities ?? [];
  at("scores").hidden = !scores.length;
  at("scores").tBodies[0].replaceChildren(...scores.map((score, number) => {
    const row = element("tr", element("th", clip(queue.classes[number]), { scope: "row", dir: "auto" }));
    row.append(element("td", score > 0.9995 ? "over 0.999" : score.toFixed(3)));
    return row;
  }));
  const distance = found.distance === null ? "" : found.distance.toFixed(2);
  const record = [["stands as", found.before, "answer"], ["barcode", found.barcode], ...found.record, ["distance", distance, "answer"]];
  at("record").replaceChildren(...record.filter(([, value]) => value).flatMap(([term, value, className = ""]) => [
    element("dt", term, { className }), element("dd", clip(value), { dir: "auto", className }),
  ]));
}

function showDecisions() {
  const done = chosen.reduce((count, place) => count + Boolean(own(queue.keys[place])), 0);
  at("progress").textContent = chosen.length ? `sheet ${position + 1} of ${chosen.length}, ${done} decided by you` : "no sheets";
  if (!chosen.length) return;
  const key = sheetKey(), decision = own(key), hidden = veiled(key);
  document.body.classList.toggle("blind", hidden);
  if (!hidden) noteShown(key);
  if (hidden && overlaid) {
    showEvidence(false, "");
    showPicture();
  }
  const buttons = queue.classes.map((name, number) => [String(number + 1), name, decision?.decision === "class" && decision.label === name]);
  const current = hidden ? -1 : queue.current[chosen[position]];
  const hint = (number) => (number === current ? " (a: as it is)" : current >= 0 && queue.classes.length === 2 ? " (f: flip)" : "");
  const made = buttons.map(([key, name, pressed], number) => button(key, clip(name) + hint(number), () => choose("class", name), pressed));
  made.push(button("u", "unsure", KEYS.u, decision?.decision === "unsure"));
  made.push(button("s", "skip", KEYS.s), button("z", "undo my last decision", undo));
  at("choices").replaceChildren(...made);
  const others = [...(known.get(key) ?? [])].filter(([name]) => name !== reviewer());
  const said = others.map(([name, entries]) => `${clip(name)}: ${clip(entries.at(-1).label || "unsure")}`).join("; ");
  at("others").textContent = said && (disagree(key) ? `Reviewers disagree. ${said}` : `Others agree. ${said}`);
}

async function start() {
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
  if (queue.named) at("reason").value = "all";
  at("blind").checked = queue.blind || localStorage.getItem("sheetlens-blind") === "true";
  for (const name of ["reason", "class", "decided"]) at(name).addEventListener("change", () => filter());
  at("blind").addEventListener("change", () => {
    localStorage.setItem("sheetlens-blind", String(at("blind").checked));
    setBlind();
  });
  at("reviewer").addEventListener("change", showDecisions);
  at("picture").addEventListener("error", showNoPicture);
  at("picture").addEventListener("load", () => { at("picture").hidden = !(at("unshown").hidden = true); });
  at("tools").append(...closerButtons());
  if (queue.evidence) at("tools").append(Object.assign(button("e", "evidence", toggleEvidence, false), { id: "evidence-button" }));
  if (queue.likeness) at("tools").append(button("l", "more like this one", showAlike));
  if (files) at("kept").append("Decisions are kept in this browser only. ", element("button", "Save corrections", { type: "button", onclick: saveCorrections }));
  watchPointer();
  enableControls();
  keeper = new Keeper("sheetlens-review", queue, { look: files ? null : look, takeBack, refresh });
  setBlind();
  keeper.pending().forEach(note);
  if (files) return showDecisions();
  keeper.again();
}

start();
