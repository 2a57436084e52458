/* A run's page follows the run: progress, log, and the outcome when it has come. */
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

/* The server counts characters as Python does, so only it says how many have been seen. */
let seen = Number(page?.querySelector("[data-run-log]").dataset.length || 0);

function showLog(answer) {
  const log = page.querySelector("[data-run-log]");
  const follows = log.scrollTop + log.clientHeight >= log.scrollHeight - 8;
  if (answer.log_from === seen && seen) log.append(answer.log);
  else if (log.textContent !== answer.log) log.textContent = answer.log;
  seen = answer.log_to;
  if (follows) log.scrollTop = log.scrollHeight;
}

async function follow() {
  const answer = await (await fetch(`${page.dataset.follow}?log_from=${seen}`)).json();
  showLog(answer);
  showProgress(answer.progress);
  const badge = page.querySelector("[data-run-status] .vs-badge");
  if (badge.textContent.trim() !== answer.label || !answer.active) await window.vsadmin.refresh();
  page.querySelector("[data-run-took]").textContent = answer.took || "—";
  if (answer.active) setTimeout(() => follow().catch(again), PAUSE);
}

function again() { setTimeout(() => follow().catch(again), PAUSE * 4); }

if (page) {
  const log = page.querySelector("[data-run-log]");
  log.scrollTop = log.scrollHeight;
  setTimeout(() => follow().catch(again), PAUSE);
}
