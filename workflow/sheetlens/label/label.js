// The labelling page: shows the sheet that the server asks for next, and hands decisions to the keeper (keep.js).
"use strict";

const AHEAD = 8, PICTURES = 3; // sheets asked for before they are needed, and their pictures
const NAMED = 100; // sheets that a request says are not wanted, at most: an address has an end
let facts, keeper, queue = [], mine = [], later = [], pictures = new Map(), wall = null, asking = null, asked = "", mode = "suggested", numbers = null;
const shown = new Set(); // keys of sheets whose prediction has been shown: what is decided then is not blind

const percent = (share) => `${Math.round(100 * share)} %`;
const told = (text) => { at("trouble").textContent = text; };
const json = async (address) => (await ask(address)).json();

// What comes next

function refill() {
  const wanted = `${mode}|${reviewer()}`;
  if (wanted !== asked) [queue, asked] = [[], wanted];
  if (asking || queue.length >= AHEAD || !reviewer()) return asking;
  const skip = [...queue, ...keeper.pending().slice(-NAMED), ...later.slice(-NAMED)].map((sheet) => sheet.key).join(",");
  const query = new URLSearchParams({ mode, reviewer: reviewer(), count: String(AHEAD - queue.length), skip });
  asking = json(`next.json?${query}`).then((found) => {
    if (wanted !== `${mode}|${reviewer()}`) return;
    queue.push(...found.filter((sheet) => !queue.some((one) => one.key === sheet.key)));
    for (const { key } of queue.slice(0, PICTURES)) {
      if (!pictures.has(key)) pictures.set(key, Object.assign(new Image(), { src: `pictures/${key}.jpg` }));
    }
    for (const key of [...pictures.keys()].slice(0, -4 * PICTURES)) pictures.delete(key);
  }).catch((error) => told(`The next sheets did not come (${error.message}); decisions are kept.`)).finally(() => { asking = null; });
  return asking;
}

async function show() {
  if (wall) return;
  if (!reviewer()) return told("Write your name first: every label carries it.");
  if (!queue.length) await refill();
  if (!queue.length) await refill(); // what came was what had been asked for before, in another mode
  else refill();
  if (!queue.length) queue = later.splice(0).filter((sheet) => !mine.some((one) => one.key === sheet.key)); // now is later
  const sheet = queue[0];
  at("nothing").hidden = Boolean(sheet);
  at("picture").hidden = !sheet;
  at("unshown").hidden = true;
  showChoices();
  showProgress();
  lookCloser(1);
  if (!sheet) return;
  showPicture();
  at("picture").alt = `Photograph of the sheet ${sheet.image_id}`;
  at("name").textContent = sheet.image_id;
  at("why").textContent = `Why this sheet: ${sheet.why}.`;
  at("guess").textContent = at("blind").checked ? "" : guess(sheet);
  if (!at("blind").checked) shown.add(sheet.key);
}

function showPicture() {
  if (queue.length) at("picture").src = `pictures/${queue[0].key}.jpg${zoom > 1 ? "?large" : ""}`;
}

function guess(sheet) {
  if (!sheet.probabilities) return "The model knows too little yet.";
  const [name, share] = Object.entries(sheet.probabilities).sort((a, b) => b[1] - a[1])[0];
  return `The model takes it for ${name} (${percent(share)}).`;
}

// What a person does

function decide(decision, label = "") {
  const sheet = queue[0];
  if (!sheet || !reviewer()) return show();
  const entry = keeper.add({ key: sheet.key, decision, label, blind: !shown.has(sheet.key) });
  if (!entry) return;
  queue.shift();
  mine.push({ ...sheet, entry });
  shown.add(sheet.key);
  at("last").textContent = `You said ${label || decision}.${at("blind").checked && sheet.probabilities ? ` ${guess(sheet)}` : ""}`;
  show();
}

function undo() { // the last decision, or all of the last wall
  const last = mine.at(-1);
  const some = mine.filter((one) => one === last || (last.accepted && one.accepted === last.accepted)).reverse();
  for (const { entry, ...sheet } of some) {
    if (!keeper.add({ key: sheet.key, decision: "undo", undoes: entry.id })) return;
    mine.pop();
    if (!sheet.accepted) queue.unshift(sheet);
  }
  if (last) at("last").textContent = last.accepted ? `${some.length} labels of the wall are taken back.` : `What you said of ${last.image_id} is taken back.`;
  show();
}

function skip() {
  if (queue.length) later.push(queue.shift());
  show();
}

function like() {
  if (!queue[0]) return;
  at("mode").querySelector("[data-like]")?.remove();
  const option = element("option", "like the sheet before", { value: `like:${queue[0].key}` });
  option.dataset.like = "1";
  at("mode").append(option);
  choose(option.value);
}

function choose(value) {
  at("mode").value = mode = value;
  show();
}

async function change(body) {
  try {
    const answer = await ask("classes", { method: "POST", headers: MARKED, body: JSON.stringify(body) });
    facts.classes = (await answer.json()).classes;
  } catch (error) {
    return told(error.message);
  }
  told("");
  showModes();
  show();
}

function rename() {
  const name = prompt(`Which class gets another name? (${facts.classes.join(", ")})`);
  if (!name) return;
  const other = prompt(`What shall '${name}' be called?`);
  if (other) change({ rename: name, name: other });
}

// A wall of sheets that the model takes for one class

async function openWall(label = wall?.label ?? facts.classes[0]) {
  if (!reviewer() || !label) return told("Write your name, and add two classes first.");
  const skip = keeper.pending().slice(-NAMED).map((entry) => entry.key).join(","); // the server does not know of them yet
  const found = await json(`wall.json?${new URLSearchParams({ class: label, skip })}`).catch(() => []);
  wall = { label, sheets: found, wrong: new Set() };
  at("wall").replaceChildren(...found.map((sheet) => {
    const made = element("button", element("img", "", { src: `thumbnails/${sheet.key}.jpg`, alt: sheet.image_id }), { type: "button", title: sheet.image_id });
    made.setAttribute("aria-pressed", "false");
    made.onclick = () => {
      const wrong = !wall.wrong.delete(sheet.key);
      if (wrong) wall.wrong.add(sheet.key);
      made.setAttribute("aria-pressed", String(wrong));
    };
    return made;
  }));
  at("wall").hidden = false;
  at("picture").hidden = at("nothing").hidden = at("unshown").hidden = true;
  lookCloser(1);
  at("name").textContent = found.length ? `The model takes these ${found.length} for ${label}` : `No wall for ${label} yet`;
  at("why").textContent = found.length
    ? "Click each sheet that is wrong, then Enter accepts the rest."
    : `It takes two labels of each class, and undecided sheets that the model takes for this one${numbers ? `; it has read ${numbers.read} of ${numbers.sheets}` : ""}. Press w to go on, and try again later.`;
  at("guess").textContent = at("last").textContent = "";
  showChoices();
  at("wall").querySelector("button")?.focus();
}

function acceptWall() {
  const accepted = Date.now(); // what they can be taken back by, all at once
  for (const sheet of wall.sheets) {
    if (wall.wrong.has(sheet.key)) continue;
    const entry = keeper.add({ key: sheet.key, decision: "class", label: wall.label, blind: false });
    if (!entry) return;
    mine.push({ ...sheet, entry, accepted });
  }
  queue = queue.filter((sheet) => !wall.sheets.some((one) => one.key === sheet.key));
  const said = `${wall.sheets.length - wall.wrong.size} sheets are labelled ${wall.label}; z takes all of them back.`;
  openWall().then(() => { at("last").textContent = said; });
}

function closeWall() {
  wall = null;
  at("wall").hidden = true;
  show();
}

// What is shown

function showChoices() {
  const classes = facts.classes.map((name, number) => button(number < 9 ? String(number + 1) : " ", wall ? `wall of ${name}` : name, () => (wall ? openWall(name) : decide("class", name)), wall ? wall.label === name : undefined));
  for (const made of classes) made.className = "whole";
  const rest = wall
    ? [button("Enter", "accept all but the marked", acceptWall), button("z", "undo", undo), button("w", "one sheet at a time", closeWall)]
    : [button("u", "unsure", () => decide("unsure")), button("z", "undo", undo), button("s", "later", skip), button("l", "more like this", like), button("r", "rename a class", rename)];
  at("choices").replaceChildren(...classes, ...rest);
}

function showModes() {
  const options = [["suggested", "what helps most"], ["random", "at random"], ...facts.classes.map((name) => [`more:${name}`, `more ${name}`])];
  at("mode").replaceChildren(...options.map(([value, text]) => element("option", text, { value })));
  at("mode").value = mode;
}

function showNumbers(found) {
  const rows = Object.entries(found.labels).map(([name, count]) => {
    const expected = found.expected[name], row = element("tr", element("th", name, { scope: "row" }));
    row.append(element("td", String(count)), element("td", expected ? `${expected[0]} (${expected[1]} to ${expected[2]})` : "–"));
    return row;
  });
  const table = element("table", element("caption", "Labels so far, and expected in the folder (95 % interval)"));
  table.append(element("tbody", ""));
  table.tBodies[0].append(...rows);
  const lines = [`${found.decided} of ${found.sheets} sheets decided; ${found.random} of them, with a class, are the random sample; ${found.read} read by the model${found.refused ? `, ${found.refused} could not be read` : ""}.`];
  if (found.accuracy?.share != null) lines.push(`Accuracy you can claim: ${percent(found.accuracy.share)} (${percent(found.accuracy.low)} to ${percent(found.accuracy.high)}), cross-validated, judged on ${found.accuracy.sheets} random sheets.`);
  else lines.push(`No accuracy can be claimed yet: it takes 20 random sheets with a class that the model has read${found.accuracy ? `, there are ${found.accuracy.sheets}` : ""}.`);
  if (found.curve?.doubled != null) lines.push(`Twice as many labels would bring about ${percent(found.curve.doubled)}.`);
  if (found.again) lines.push(`Of ${found.again} sheets shown again ${percent(found.agreement)} got the same class${found.kappa == null ? "" : ` (kappa ${found.kappa.toFixed(2)})`}.`);
  at("numbers").replaceChildren(table, ...lines.map((line) => element("p", line)));
  numbers = found;
  showProgress();
}

function showProgress() {
  at("progress").textContent = `${mine.length} decided by you now${numbers ? `, ${numbers.sheets} sheets` : ""}`;
}

async function look() { // at the numbers
  if (!document.hidden) showNumbers(await json("numbers.json"));
}

const WALKS = { ArrowLeft: -1, ArrowRight: 1, ArrowUp: -6, ArrowDown: 6 }; // on the wall
const KEYS = { u: () => decide("unsure"), z: undo, Backspace: undo, s: skip, l: like, r: rename, x: () => choose(mode === "random" ? "suggested" : "random"), b: () => at("blind").click(), n: () => at("new-class").focus(), ...CLOSER_KEYS };

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  if (event.target.matches("input:not([type=checkbox]), select")) {
    if (event.key === "Escape" || (event.key === "Enter" && event.target.id === "reviewer")) event.target.blur();
    return;
  }
  if (!keeper) return;
  const onWall = wall && at("wall").contains(event.target); // there Enter accepts, and a space marks
  if (event.target.matches("button, input") && (event.key === " " || (event.key === "Enter" && !onWall))) return;
  if (event.shiftKey && !wall && moveSheet(event)) return;
  if (onWall && WALKS[event.key]) {
    const all = [...at("wall").children];
    all[all.indexOf(event.target) + WALKS[event.key]]?.focus();
    return;
  }
  const number = Number(event.key);
  let action = number >= 1 && number <= facts.classes.length ? () => (wall ? openWall(facts.classes[number - 1]) : decide("class", facts.classes[number - 1])) : KEYS[event.key];
  if (event.key === "w") action = wall ? closeWall : () => openWall();
  else if (wall && event.key === "Enter") action = acceptWall;
  else if (wall && !(number >= 1) && action !== undo) return;
  if (!action) return;
  event.preventDefault();
  action();
});

async function start() {
  facts = await json("start.json").catch((error) => told(`The page did not start (${error.message}).`));
  if (!facts) return;
  keeper = new Keeper("sheetlens-label", facts, { look, refresh: () => { if (!queue.length || !at("unshown").hidden) show(); } });
  at("folder").textContent = facts.folder;
  showModes();
  showChoices();
  at("tools").append(...closerButtons());
  watchPointer();
  at("picture").addEventListener("error", () => { at("picture").hidden = !(at("unshown").hidden = false); });
  at("picture").addEventListener("load", () => { at("unshown").hidden = true; });
  at("mode").addEventListener("change", () => { choose(at("mode").value); at("mode").blur(); });
  at("blind").addEventListener("change", show);
  at("to-wall").addEventListener("click", () => (wall ? closeWall() : openWall()));
  at("adding").addEventListener("submit", (event) => {
    event.preventDefault();
    change({ name: at("new-class").value });
    at("new-class").value = "";
    at("new-class").blur();
  });
  at("reviewer").addEventListener("change", show);
  enableControls();
  show();
  keeper.again();
}

start();
