// Keeps decisions in this browser until the server has them. One item of the browser's store each, so that tabs do not
// meet; each names its run, because the store belongs to the address, and another run may be served there next time.
"use strict";

const LONGEST_WAIT = 30000; // milliseconds for an answer: a laptop that slept would wait for ever
const TOGETHER = 200; // decisions sent at once
const PAUSES = [1000, 2000, 4000, 8000, 16000]; // milliseconds between tries

class Keeper {
  constructor(name, run, told) { // told(text): what a person should know, "" when all is well
    Object.assign(this, { prefix: `${name}:${location.pathname}:`, run, told, sending: false, failed: 0, timer: 0 });
    for (const event of ["online", "pageshow", "focus"]) addEventListener(event, () => this.send());
  }

  waiting() {
    const names = Object.keys(localStorage).filter((name) => name.startsWith(this.prefix));
    const entries = names.map((name) => {
      try {
        return { ...JSON.parse(localStorage.getItem(name)), name };
      } catch {
        return null; // not ours, or damaged: it stays where it is
      }
    });
    return entries.filter((entry) => entry?.id && entry.run === this.run).sort((a, b) => a.made - b.made);
  }

  add(entry) { // false where the browser has no room
    const id = Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) => byte.toString(16).padStart(2, "0")).join("");
    const whole = { undoes: "", label: "", ...entry, id, run: this.run, time: new Date().toISOString(), made: performance.timeOrigin + performance.now() };
    try {
      localStorage.setItem(this.prefix + id, JSON.stringify(whole));
    } catch {
      this.told("This browser has no room for more decisions: this one was not kept.");
      return false;
    }
    this.send();
    return whole;
  }

  async send() {
    if (this.sending) return;
    this.sending = true;
    clearTimeout(this.timer);
    try {
      for (let some; (some = this.waiting().slice(0, TOGETHER)).length; ) {
        const body = JSON.stringify(some.map(({ name, ...entry }) => entry));
        const headers = { "Content-Type": "application/json", "X-Sheetlens-Review": "1" };
        const answer = await fetch("decisions", { method: "POST", headers, body, signal: AbortSignal.timeout(LONGEST_WAIT) });
        if (!answer.ok) throw new Error(await answer.text());
        const { kept } = await answer.json();
        for (const entry of some) if (kept.includes(entry.id)) localStorage.removeItem(entry.name);
      }
      if (this.failed) this.told("The server answers again, and has all decisions.");
      this.failed = 0;
    } catch (error) {
      const number = this.waiting().length;
      this.told(`${number} decision${number === 1 ? " is" : "s are"} kept in this browser until the server takes them (${error.message || "it does not answer"}).`);
      this.timer = setTimeout(() => this.send(), PAUSES[Math.min(this.failed, PAUSES.length - 1)]);
      this.failed += 1;
    } finally {
      this.sending = false;
    }
  }
}
