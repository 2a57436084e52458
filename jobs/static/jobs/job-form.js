/* The job form: shows only the fields of the chosen trigger, and previews the schedule as it is typed. */
"use strict";

const form = document.querySelector(".vs-form");
const preview = form?.querySelector(".vs-preview");
const SCHEDULE = ["trigger", "interval_seconds", "cron", "run_at", "timezone", "starts_at", "ends_at", "jitter_seconds"];
const ONLY = { interval_seconds: ["interval"], cron: ["cron"], run_at: ["once"], starts_at: ["interval", "cron"], ends_at: ["interval", "cron"], jitter_seconds: ["interval", "cron"] };

const input = (name) => form.querySelector(`[name="${name}"]`);

function showFieldsOfTrigger() {
  for (const [name, triggers] of Object.entries(ONLY)) {
    const row = form.querySelector(`.field-${name}`);
    const needed = triggers.includes(input("trigger").value) || row.classList.contains("errors");
    row.classList.toggle("vs-off", !needed);
  }
}

let asked = 0;

async function showPreview() {
  const query = new URLSearchParams({ job: form.dataset.job, id: input("id")?.value || "", viewer_zone: Intl.DateTimeFormat().resolvedOptions().timeZone });
  for (const name of SCHEDULE) query.set(name, input(name).value);
  const mine = ++asked;
  const answer = await fetch(`${form.dataset.preview}?${query}`);
  if (!answer.ok || answer.redirected || mine !== asked) return;
  preview.innerHTML = await answer.text();
  preview.hidden = false;
}

async function showArguments() {
  const answer = await fetch(`${form.dataset.arguments}?${new URLSearchParams({ function: input("function").value })}`);
  const fieldset = form.querySelector(".vs-arguments");
  if (!answer.ok || answer.redirected) return;
  for (const old of fieldset.querySelectorAll(".form-row, .vs-empty")) old.remove();
  fieldset.insertAdjacentHTML("beforeend", await answer.text());
}

if (form && preview) {
  let waiting;
  const soon = () => { clearTimeout(waiting); waiting = setTimeout(() => showPreview().catch(() => {}), 150); };
  form.querySelector(".vs-schedule").addEventListener("input", () => { showFieldsOfTrigger(); soon(); });
  input("function").addEventListener("change", () => showArguments().catch(() => {}));
  showFieldsOfTrigger();
  soon();
}
