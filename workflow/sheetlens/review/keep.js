// What the pages of review and labelling share: decisions stay in this browser until the server has them, and the page
// says where they are. One item of the browser's store each, so that tabs do not meet. Each names its run: the store
// belongs to the address, and another run may be served there next time.
"use strict";

const LONGEST_SHOWN = 500; // characters of one text
const EVERY = 4000, SELDOM = 16000; // milliseconds between looks at what is new; at most, while nothing comes of it
const LONGEST_WAIT = 30000; // milliseconds for an answer: a laptop that slept would wait for ever
const TOGETHER = 200; // decisions sent at once
const FAULTS = 3; // faults of the server's with one decision, after which it is put aside
const PLACE = location.pathname.replace(/[^/]*$/, "");
const ASIDE = `sheetlens-refused:${PLACE}:`;
const MARKED = { "Content-Type": "application/json", "X-Sheetlens-Review": "1" }; // what no other site's page can send
const at = (id) => document.getElementById(id);
const count = (number) => (number === 1 ? "1 decision" : `${number} decisions`);
const reviewer = () => at("reviewer").value.replace(/\p{Cs}/gu, "").trim(); // a name cut within an emoji is no text

at("reviewer").value = localStorage.getItem("sheetlens-reviewer") ?? "";
at("reviewer").addEventListener("change", () => {
  localStorage.setItem("sheetlens-reviewer", reviewer());
  at("trouble").textContent = "";
});

function clip(text) {
  return text.length > LONGEST_SHOWN ? `${text.slice(0, LONGEST_SHOWN)}…` : text;
}

function element(name, text, attributes = {}) {
  const made = Object.assign(document.createElement(name), attributes);
  made.append(text);
  return made;
}

function button(key, text, onclick, pressed) {
  const made = element("button", element("kbd", key), { type: "button", onclick });
  made.append(element("bdi", text));
  if (pressed !== undefined) made.setAttribute("aria-pressed", String(pressed));
  return made;
}

function enableControls() { // what a person changes before the page knows its run would be lost, or sent as a form
  for (const control of document.querySelectorAll(":disabled")) control.disabled = false;
}

async function ask(address, options = {}) {
  const answer = await fetch(address, { ...options, signal: AbortSignal.timeout(LONGEST_WAIT) });
  if (answer.ok) return answer;
  throw Object.assign(new Error(clip(await answer.text())), { status: answer.status });
}

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

class Keeper {
  // `name`: of the store; `look()`: asks the server what is new, null where there is no server; `takeBack(entry)`: the
  // server refused it; `refresh()`: the server answers again.
  constructor(name, { run, folder }, { look = null, takeBack = () => {}, refresh = () => {} }) {
    Object.assign(this, { prefix: `${name}:${PLACE}:`, run, folder, look, takeBack, refresh });
    Object.assign(this, { sending: false, wait: EVERY, timer: 0, troubled: false });
    this.gone = false; // another run is served here now
    this.showAside();
    this.showStrangers();
    if (!look) return;
    for (const event of ["online", "pageshow", "focus"]) {
      addEventListener(event, () => {
        this.wait = EVERY;
        this.again();
      });
    }
    document.addEventListener("visibilitychange", () => { if (!document.hidden) this.again(); });
  }

  pending() {
    return stored(this.prefix).filter((entry) => entry.run === this.run);
  }

  add(made) { // what is kept of it, or false where it cannot be
    if (!reviewer()) {
      at("reviewer").focus();
      at("trouble").textContent = "Write your name first: every decision carries it.";
      return false;
    }
    const id = Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) => byte.toString(16).padStart(2, "0")).join("");
    const own = { id, run: this.run, folder: this.folder, reviewer: reviewer(), time: new Date().toISOString() };
    const entry = { label: "", undoes: "", ...made, ...own, made: performance.timeOrigin + performance.now() };
    try {
      this.keep(entry);
    } catch {
      at("trouble").textContent = "This browser has no room for more decisions: this one was not kept.";
      return false;
    }
    if (!this.troubled) at("trouble").textContent = "";
    this.send();
    return entry;
  }

  keep(entry) {
    localStorage.setItem(`${this.prefix}${entry.run}:${entry.id}`, JSON.stringify(entry));
  }

  // To the server

  async again() { // hand over what waits, look at what is new, and so on
    clearTimeout(this.timer);
    try {
      if (await this.send()) {
        await this.look();
        this.calm(0);
      }
    } catch (error) {
      this.trouble(error);
    }
    this.wait = this.troubled ? Math.min(2 * this.wait, SELDOM) : EVERY;
    clearTimeout(this.timer);
    if (!this.gone) this.timer = setTimeout(() => this.again(), this.wait);
  }

  async send() {
    if (this.sending || !this.look || this.gone) return true;
    this.sending = true;
    let delivered = 0;
    const faults = new Map();
    try {
      for (let some, size = TOGETHER; (some = this.pending().slice(0, size)).length; ) {
        try {
          delivered += await this.hand(some);
        } catch (error) { // of these, one of them may be at fault: it must not hold the others up
          if (![400, 413, 500].includes(error.status)) throw error;
          const [first] = some, found = (faults.get(first.id) ?? 0) + 1;
          if (some.length === 1) faults.set(first.id, found);
          if (some.length === 1 && (error.status !== 500 || found === FAULTS)) this.setAside(first, error.message);
          size = some.length === 1 && error.status !== 500 ? TOGETHER : 1;
        }
      }
      if (delivered) this.calm(delivered);
      return true;
    } catch (error) {
      this.trouble(error);
      return false;
    } finally {
      this.sending = false;
    }
  }

  async hand(some) {
    const body = JSON.stringify(some.map(({ name, ...entry }) => entry));
    const { kept } = await (await ask("decisions", { method: "POST", headers: MARKED, body })).json();
    for (const entry of some) if (kept.includes(entry.id)) localStorage.removeItem(entry.name);
    return kept.length;
  }

  setAside(entry, why) {
    localStorage.setItem(`${ASIDE}${entry.run}:${entry.id}`, JSON.stringify({ ...entry, why }));
    localStorage.removeItem(entry.name);
    this.takeBack(entry);
    this.showAside();
  }

  // What a person is told

  trouble(error) {
    const waiting = this.pending().length, whose = clip(this.folder);
    const kept = waiting ? `${count(waiting)} ${waiting === 1 ? "is" : "are"} kept in this browser` : "What you decide is kept in this browser";
    this.troubled = true;
    at("told").textContent = "";
    this.gone = error.status === 409;
    const why = error.status ? `the server says: ${error.message}` : "the server does not answer; is it running, and is there a network?";
    at("trouble").textContent = this.gone
      ? `This page is of the run “${whose}”, and ${error.message}. ${kept} for when “${whose}” is served here again. Load the page anew to go on with the other run.`
      : `${kept} until the server takes them (${why}).`;
  }

  calm(delivered) {
    if (!this.troubled) {
      if (delivered) at("told").textContent = "";
      return;
    }
    at("told").textContent = delivered ? `The server answers again and has taken ${count(delivered)} that ${delivered === 1 ? "was" : "were"} kept in this browser.` : "The server answers again.";
    at("trouble").textContent = "";
    this.troubled = false;
    this.refresh();
  }

  showAside() {
    const refused = stored(ASIDE).filter((entry) => entry.run === this.run);
    const forget = () => {
      for (const entry of refused) localStorage.removeItem(entry.name);
      this.showAside();
    };
    at("aside").replaceChildren();
    if (!refused.length) return;
    const told = refused.slice(0, 3).map(({ reviewer: who, time, label, decision }) => clip(`${who}, ${time.slice(0, 16).replace("T", " ")}: ${label || decision}`));
    const counted = `${count(refused.length)}, which ${refused.length === 1 ? "does" : "do"}`;
    at("aside").append(
      `The server refused ${counted} not count (${clip(refused[0].why)}): ${told.join("; ")}${refused.length > 3 ? "; and so on" : ""}. All others go on.`,
      element("button", "Try again", { type: "button", onclick: () => {
        for (const { why, name, ...entry } of refused) this.keep(entry);
        forget();
        location.reload();
      } }),
      element("button", "Forget", { type: "button", onclick: forget }),
    );
  }

  showStrangers() {
    const others = stored(this.prefix).filter((entry) => entry.run !== this.run);
    at("elsewhere").replaceChildren();
    if (!others.length) return;
    const runs = [...new Set(others.map((entry) => entry.run ? `“${clip(entry.folder ?? "")}”` : "a run that an earlier version of Sheetlens served"))];
    const whose = others.length === 1 ? "it was made" : "they were made";
    at("elsewhere").append(
      `${count(others.length)} in this browser did not reach the server and ${others.length === 1 ? "is" : "are"} not of this run: ${whose} in ${runs.join(" and ")}. `
        + (this.look
          ? "Serve that run at this address again, in the same version, and open the page: then they are handed over. "
          : "Put the page of that run here again and save its corrections. "),
      element("button", others.length === 1 ? "Forget it" : "Forget them", { type: "button", onclick: () => {
        if (!confirm(`Forget ${count(others.length)} of ${runs.join(" and ")} for ever?`)) return;
        for (const entry of others) localStorage.removeItem(entry.name);
        this.showStrangers();
      } }),
    );
  }
}
