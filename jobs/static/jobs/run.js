/* Updates a run's page while the run is active: progress, log and result. */
"use strict";

const page = document.querySelector("[data-follow]");
const PAUSE = 700;

function showProgress(progress) {
  const holder = page.querySelector("[data-run-progress]");
  if (!progress || !holder) return;
  holder.hidden = false;
  holder.querySelector("progress").value = progress.percent;
  holder.querySelector("small").textContent = `${progress.percent} % · ${progress.text}`;
}

/* The server counts characters as Python does and JavaScript does not, so the offset comes from the server. */
let received = Number(page?.querySelector("[data-run-log]").dataset.length || 0);

function showLog(answer) {
  const log = page.querySelector("[data-run-log]");
  const follows = log.scrollTop + log.clientHeight >= log.scrollHeight - 8;
  if (answer.log_from === received && received) log.append(answer.log);
  else if (log.textContent !== answer.log) log.textContent = answer.log;
  received = answer.log_to;
  if (follows) log.scrollTop = log.scrollHeight;
}

async function follow() {
  const answer = await (await fetch(`${page.dataset.follow}?log_from=${received}`, { headers: { "X-Requested-With": "live" } })).json();
  showLog(answer);
  showProgress(answer.progress);
  const badge = page.querySelector("[data-run-status] .vs-badge");
  if (badge.textContent.trim() !== answer.label || !answer.active) await window.vsadmin.refresh();
  page.querySelector("[data-run-duration]").textContent = answer.duration || "—";
  if (answer.active) setTimeout(() => follow().catch(retry), PAUSE);
}

function retry() { setTimeout(() => follow().catch(retry), PAUSE * 4); }

if (page) {
  const log = page.querySelector("[data-run-log]");
  log.scrollTop = log.scrollHeight;
  setTimeout(() => follow().catch(retry), PAUSE);
}
