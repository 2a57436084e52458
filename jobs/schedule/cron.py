"""cronsim, made right where clocks change by half an hour (Lord Howe) or at midnight (Santiago)."""

from __future__ import annotations

from datetime import UTC

from cronsim import CronSim


class Cron(CronSim):
    """CronSim that never steps over a slot: it moves in real time, but reads the local clock again after each change of offset.

    Only jobs with a star in minute or hour are concerned; those at a specific time are moved without a zone.
    """

    def advance_month(self) -> None:
        super().advance_month()
        self._leave_gap()

    def advance_day(self) -> bool:
        moved: bool = super().advance_day()
        self._leave_gap()
        return moved

    def advance_hour(self) -> bool:
        if self.dt.hour in self.hours:
            return False
        self.dt = self.dt.replace(minute=0, second=0)
        self._leave_gap()
        while self.dt.hour not in self.hours:
            self.tick(seconds=3600 - 60 * self.dt.minute)  # after half an hour's change the full hour is half an hour away
            if self.dt.hour == 0:
                break
        return True

    def advance_minute(self) -> bool:
        before, offset = self.dt, self.dt.utcoffset()
        moved: bool = super().advance_minute()
        if self.dt.utcoffset() != offset:
            self.dt = before.replace(second=0)
            while self.dt.minute not in self.minutes:
                self.tick(seconds=60)
                if self.dt.utcoffset() != offset or self.dt.minute == 0:
                    break
        return moved

    def _leave_gap(self) -> None:
        """Midnight need not exist; the day then starts an hour later."""
        if self.dt.tzinfo is not None:
            self.dt = self.dt.astimezone(UTC).astimezone(self.dt.tzinfo)
