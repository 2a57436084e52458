from __future__ import annotations

from playwright.sync_api import Page, expect

from tests.support.api import ADMIN_KEY
from tests.support.processes import Site


def test_the_docs_page_works_from_local_files_under_the_strict_policy(site: Site, page: Page) -> None:
    site.start_web(VS_API_KEY_ADMIN=ADMIN_KEY)
    complaints: list[str] = []
    page.on("console", lambda message: complaints.append(message.text) if message.type == "error" else None)
    page.on("pageerror", lambda error: complaints.append(str(error)))
    foreign: list[str] = []
    page.on("request", lambda request: None if request.url.startswith((site.base_url, "data:", "blob:")) else foreign.append(request.url))
    answer = page.goto(f"{site.base_url}/api/v1alpha1/docs")
    assert answer is not None
    assert "default-src 'self'" in answer.headers["content-security-policy"]
    assert "unsafe" not in answer.headers["content-security-policy"]
    page.get_by_role("button", name="GET /api/v1alpha1/jobs List jobs").or_(page.locator("#operations-jobs-list_jobs")).first.click()
    expect(page.get_by_text("Searches id, title and function.").first).to_be_visible()
    assert (complaints, foreign) == ([], [])
