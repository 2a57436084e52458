/* Keeps an open page current: updates distances such as "in 12 min" each second, and fetches the parts marked
   `data-live` again.  Every page works without it. */
"use strict";

/* The page carries units and words, so that server and browser state a distance alike in any language. */
const words = JSON.parse(document.querySelector("meta[name=vs-distance]").content);

function distance(seconds) {
  if (seconds === 0) return words.now;
  const [, size, unit] = words.units.find(([start]) => Math.abs(seconds) >= start);
  const text = unit.replace("%(n)d", Math.trunc(Math.abs(seconds) / size));
  return words[seconds < 0 ? "ago" : "in"].replace("%(time)s", text);
}

function countOn() {
  for (const time of document.querySelectorAll("time[datetime]")) {
    const shown = time.querySelector("[data-distance]");
    if (!shown) continue;
    const text = distance(Math.round((Date.parse(time.dateTime) - Date.now()) / 1000));
    if (shown.textContent !== text) shown.textContent = text;
  }
}

/* Replaces the parts that changed, except the one that has the focus. */
async function refresh() {
  const answer = await fetch(location.href, { headers: { "X-Requested-With": "live" } });
  if (!answer.ok || answer.redirected) return;
  const fresh = new DOMParser().parseFromString(await answer.text(), "text/html");
  for (const part of document.querySelectorAll("[data-live]")) {
    const now = fresh.querySelector(`[data-live="${CSS.escape(part.dataset.live)}"]`);
    if (!now || part.contains(document.activeElement) || part.innerHTML === now.innerHTML) continue;
    part.replaceChildren(...now.childNodes);
  }
  countOn();
}

window.vsadmin = { refresh };

const every = Number(document.querySelector("[data-live-every]")?.dataset.liveEvery || 0);
countOn();
setInterval(countOn, 1000);
if (every) setInterval(() => { if (!document.hidden) refresh().catch(() => {}); }, every * 1000);
