"""The version check, against real HTTP."""

from __future__ import annotations

import json
from typing import Any

import pytest
from structlog.testing import capture_logs

from tests.game.support.run_job import RunJob
from vsadmin.game.exceptions import AllSourcesFailed, UpstreamUnexpected, VersionNotFound
from vsadmin.game.jobs import no_versions_known
from vsadmin.game.models import FeedState, GameVersion, ServerFile, VersionEvent
from vsadmin.game.standin.server import StandIn
from vsadmin.game.upstream.feed import parse_feed
from vsadmin.game.upstream.rejections import RejectedItems

CHECK = "server_versions_check"


def feed(*versions: str, latest: str = "") -> dict[str, Any]:
    return {
        version: {"linuxserver": {"filename": f"vs_server_{version}.tar.gz", "filesize": "51.4 MB", "md5": "a" * 32} | ({"latest": 1} if version == latest else {})}
        for version in versions
    }


def test_both_channels_are_stored_with_their_files(run_job: RunJob) -> None:
    assert no_versions_known()
    result = run_job(CHECK)
    assert result == {
        "stable": {"versions": 17, "latest": "1.22.7", "new": [], "refused": 0},
        "unstable": {"versions": 16, "latest": "1.23.0-pre.2", "new": [], "refused": 0},
        "warnings": [],
    }
    assert not no_versions_known()
    file = GameVersion.objects.find("1.22.7").server_file
    assert file is not None
    assert (file.filename, file.filesize, file.md5) == ("vs_server_linux-x64_1.22.7.tar.gz", "51.4 MB", "cf06bf6dc786e70174c17135b2d12def")
    assert file.cdn_url == "https://cdn.vintagestory.at/gamefiles/stable/vs_server_linux-x64_1.22.7.tar.gz"
    assert file.local_url == "https://account.vintagestory.at/files/stable/vs_server_linux-x64_1.22.7.tar.gz"


def test_an_old_version_s_server_build_is_for_linux_and_the_oldest_has_none(run_job: RunJob) -> None:
    run_job(CHECK)
    assert GameVersion.objects.find("1.9.14").server_file is None
    assert ServerFile.objects.get(version="1.16.5", platform="linux").filename


def test_the_latest_version_is_the_highest_and_not_the_flagged_or_first_one(run_job: RunJob, standin: StandIn) -> None:
    standin.switches.library.unstable = feed("1.22.0-rc.9", "1.22.0-rc.10", "1.22.0-pre.5", latest="1.22.0-rc.9")
    with capture_logs() as logs:
        assert run_job(CHECK)["unstable"]["latest"] == "1.22.0-rc.10"
    assert [line["highest"] for line in logs if line["event"] == "latest_flag_lags"] == ["1.22.0-rc.10"]


def test_only_a_version_higher_than_all_before_is_new(run_job: RunJob, standin: StandIn) -> None:
    library = standin.switches.library
    library.stable = feed("1.22.5", "1.22.6")
    assert run_job(CHECK)["stable"]["new"] == []
    library.stable = feed("1.22.5", "1.22.6", "1.21.9")
    assert run_job(CHECK)["stable"]["new"] == []
    library.stable = feed("1.22.5")
    assert run_job(CHECK)["stable"] == {"versions": 1, "latest": "1.22.5", "new": [], "refused": 0}
    library.stable = feed("1.22.5", "1.22.6")
    assert run_job(CHECK)["stable"] == {"versions": 2, "latest": "1.22.6", "new": [], "refused": 0}
    library.stable = feed("1.22.6", "1.22.8", "1.22.7")
    with capture_logs() as logs:
        assert run_job(CHECK)["stable"]["new"] == ["1.22.7", "1.22.8"]
    assert [line["version"] for line in logs if line["event"] == "game_version_appeared"] == ["1.22.7", "1.22.8"]
    assert list(VersionEvent.objects.order_by("pk").values_list("version", "channel")) == [("1.22.7", "stable"), ("1.22.8", "stable")]


def test_a_released_version_moves_to_the_stable_channel(run_job: RunJob, standin: StandIn) -> None:
    library = standin.switches.library
    library.stable, library.unstable = feed("1.22.5"), feed("1.22.6", "1.22.6-rc.1")
    run_job(CHECK)
    library.stable = feed("1.22.5", "1.22.6")
    assert run_job(CHECK)["unstable"]["latest"] == "1.22.6-rc.1"
    assert GameVersion.objects.find("1.22.6").channel == "stable"


def test_one_failed_channel_is_a_warning_and_its_data_stays_with_its_age(run_job: RunJob, standin: StandIn) -> None:
    run_job(CHECK)
    before = FeedState.objects.of("stable")
    standin.switches.library.stable = {}
    result = run_job(CHECK)
    assert "stable" not in result
    assert result["warnings"][0].startswith("stable: ")
    assert "feed is empty" in result["warnings"][0]
    after = FeedState.objects.of("stable")
    assert after.cached_at == before.cached_at
    assert after.checked_at != before.checked_at
    assert "feed is empty" in after.error
    assert GameVersion.objects.current().in_channel("stable").count() == 17


@pytest.mark.parametrize("mode", ["down", "readonly", "html", "hang", "truncated"])
def test_when_both_channels_fail_the_run_fails_with_both_reasons_and_keeps_the_data(run_job: RunJob, standin: StandIn, mode: str) -> None:
    run_job(CHECK)
    standin.switches.apply({"service": "versions", "mode": mode})
    with pytest.raises(AllSourcesFailed, match=r"stable: .*; unstable: "):
        run_job(CHECK)
    assert GameVersion.objects.current().count() == 33


def test_a_slow_answer_within_the_deadline_is_accepted(run_job: RunJob, standin: StandIn, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("vsadmin.game.standin.server.DRIP_SECONDS", 0.02)
    standin.switches.apply({"mode": "slow"})
    assert run_job(CHECK)["stable"]["versions"] == 17


def test_an_unchanged_feed_updates_the_time_of_its_data(run_job: RunJob) -> None:
    run_job(CHECK)
    before = FeedState.objects.of("stable").cached_at
    assert run_job(CHECK)["stable"] == {"versions": 17, "latest": "1.22.7", "new": [], "refused": 0}
    after = FeedState.objects.of("stable").cached_at
    assert before is not None
    assert after is not None
    assert after > before


def test_validators_are_not_sent_to_another_address(run_job: RunJob, settings: Any) -> None:
    run_job(CHECK)
    state = FeedState.objects.of("stable")
    assert state.validators_for(f"{settings.VERSIONS_URL}/stable.json").etag
    assert not state.validators_for("https://example.invalid/stable.json").etag


def test_an_invalid_item_is_rejected_counted_and_logged_and_the_rest_is_stored(run_job: RunJob, standin: StandIn) -> None:
    good = feed("1.22.6", "1.22.7")
    bad: dict[str, Any] = {"latest": {}, "1.22.x": {}, "1.22.5": None, "1.22.4": {"linuxserver": {"filename": None}}, "1.22.3": {"linuxserver": []}, "\ud800": {}}
    standin.switches.library.stable = bad | good
    with capture_logs() as logs:
        result = run_job(CHECK)
    assert result["stable"] == {"versions": 4, "latest": "1.22.7", "new": [], "refused": 6}
    (line,) = (line for line in logs if line["event"] == "upstream_items_refused")
    assert (line["source"], line["count"]) == ("stable", 6)


@pytest.mark.parametrize("data", [[], "text", 7, {"nonsense": {}, "more": 1}])
def test_a_feed_with_another_structure_is_rejected(data: Any) -> None:
    with pytest.raises(UpstreamUnexpected):
        parse_feed("https://example.invalid/stable.json", data, RejectedItems())


@pytest.mark.parametrize(("latest", "flagged"), [(1, True), (True, True), (0, False), (False, False), (None, False), ("1", True), ({}, False)])
def test_the_latest_flag_has_many_forms(latest: Any, flagged: bool) -> None:
    data = {"1.22.7": {"linuxserver": {"filename": "x", "latest": latest}}}
    assert parse_feed("https://example.invalid", data, RejectedItems())[0].is_flagged is flagged


def test_hostile_texts_are_cleaned_before_they_are_stored(run_job: RunJob, standin: StandIn) -> None:
    file = {"filename": "a\x00b\ud800" + "x" * 1000, "filesize": 51, "md5": "not a checksum", "urls": {"cdn": "javascript:alert(1)", "local": "https://[broken"}}
    standin.switches.library.stable = {"1.22.7": {"linuxserver": file}}
    run_job(CHECK)
    stored = ServerFile.objects.get(version="1.22.7")
    assert (stored.filename[:3], len(stored.filename), stored.filesize, stored.md5) == ("ab?", 255, "51", "")
    assert (stored.cdn_url, stored.local_url) == ("", "")


def test_an_unknown_version_raises_version_not_found(db: None) -> None:
    with pytest.raises(VersionNotFound, match="GET /versions") as caught:
        GameVersion.objects.find("9.9.9\x00")
    assert (caught.value.code, caught.value.status) == ("VERSION_NOT_FOUND", 404)


def test_newer_versions_are_counted(run_job: RunJob) -> None:
    run_job(CHECK)
    assert GameVersion.objects.above("1.22.5").count() == 2
    assert GameVersion.objects.above("1.22.7").count() == 0
    assert list(GameVersion.objects.above("1.23.0-pre.1").values_list("version", flat=True)) == ["1.23.0-pre.2"]
    assert GameVersion.objects.above("").count() == 0


def test_a_feed_above_the_size_limit_does_not_affect_the_other_channel(run_job: RunJob, standin: StandIn) -> None:
    standin.switches.library.stable = feed("1.22.7") | {f"0.0.{number}": {"x": "y" * 1000} for number in range(2100)}
    result = run_job(CHECK)
    assert "sent more than the limit of 2,097,152 bytes" in result["warnings"][0]
    assert result["unstable"]["versions"] == 16


def test_the_result_can_be_stored_as_json(run_job: RunJob) -> None:
    assert json.loads(json.dumps(run_job(CHECK)))
