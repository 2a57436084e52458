// List, create, change one field, run, pause and delete a job, with types from the OpenAPI document alone.
import createClient from "openapi-fetch";
import type { components, paths } from "./schema.js";

declare const process: { argv: string[] };

const [, , baseUrl = "", key = ""] = process.argv;
const client = createClient<paths>({ baseUrl, headers: { "X-API-Key": key } });

function expect<T>(what: string, actual: T, expected: T): void {
  if (actual !== expected) throw new Error(`${what}: ${JSON.stringify(actual)} instead of ${JSON.stringify(expected)}`);
}

function dataOf<T>(answer: { data?: { data: T }; error?: unknown }): T {
  if (answer.data === undefined) throw new Error(JSON.stringify(answer.error));
  return answer.data.data;
}

const path = { job_id: "by_typescript" };
const made = await client.POST("/api/v1alpha1/jobs", {
  body: { id: path.job_id, function: "mod_cache_refresh", trigger: "cron", cron: "30 2 * * *", timezone: "Europe/Vienna", enabled: false, max_retries: 5 },
});
const before: components["schemas"]["JobOut"] = dataOf(made).job;
expect("trigger", before.trigger, "cron");
expect("status", made.response.status, 201);

const listed = dataOf(await client.GET("/api/v1alpha1/jobs", { params: { query: { trigger: before.trigger, search: "typescript" } } }));
expect("listed", listed.jobs[0]?.id, path.job_id);

const tag = made.response.headers.get("ETag") ?? "";
const changed = dataOf(await client.PATCH("/api/v1alpha1/jobs/{job_id}", { params: { path, header: { "If-Match": tag } }, body: { title: "Renamed" } })).job;
const same = ["trigger", "cron", "timezone", "enabled", "max_retries", "interval_seconds", "keep_days"] as const;
for (const name of same) expect(name, changed[name], before[name]);
expect("title", changed.title, "Renamed");

const stale = await client.PATCH("/api/v1alpha1/jobs/{job_id}", { params: { path, header: { "If-Match": tag } }, body: { title: "Lost" } });
expect("code", stale.error?.code, "REVISION_MISMATCH");

const run = dataOf(await client.POST("/api/v1alpha1/jobs/{job_id}/run", { params: { path, header: { "Idempotency-Key": "once" } }, body: {} })).run;
const status: components["schemas"]["RunOut"]["status"] = run.status;
expect("run", status, "queued");

const paused = dataOf(await client.POST("/api/v1alpha1/jobs/{job_id}/pause", { params: { path }, body: { until: "2030-01-01T00:00:00Z" } })).job;
expect("paused", paused.paused_until, "2030-01-01T00:00:00Z");

expect("deleted", dataOf(await client.DELETE("/api/v1alpha1/jobs/{job_id}", { params: { path } })).message, "Job 'by_typescript' deleted");
expect("missing", (await client.GET("/api/v1alpha1/jobs/{job_id}", { params: { path: { job_id: "none" } } })).error?.code, "JOB_NOT_FOUND");
