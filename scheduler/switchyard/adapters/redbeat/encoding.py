"""RedBeat's JSON, and what it cannot write: the sun, a schedule's own time zone, more types of arguments.

What it can write stays as it writes it, so that its own programs can read it.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from celery.schedules import crontab, solar
from kombu.utils.json import JSONEncoder, object_hook
from redbeat.decoder import RedBeatJSONDecoder, RedBeatJSONEncoder
from redbeat.schedules import rrule

#: Types of ours. A program of RedBeat's fails at schedules of them, where it would take another time zone.
_SOLAR, _CRONTAB, _RRULE, _NAIVE = "solar", "crontab in zone", "rrule in zone", "naive datetime"
#: In which form kombu's JSON has what plain JSON cannot say.
_KOMBUS = {"__type__", "__value__"}
_CRON_FIELDS = ("minute", "hour", "day_of_week", "day_of_month", "month_of_year")


class Encoder(RedBeatJSONEncoder):
    """RedBeat's; what it cannot write becomes what kombu would send."""

    def default(self, obj: Any) -> Any:
        """What stands for the object in JSON. Raises TypeError for what nobody can write."""
        if isinstance(obj, solar):
            return {"__type__": _SOLAR, "event": obj.event, "lat": obj.lat, "lon": obj.lon}
        if isinstance(obj, crontab):
            return _crontab(obj)
        if isinstance(obj, rrule) and (zone := _zone(obj.dtstart.tzinfo)) not in {None, "UTC"}:
            # RedBeat keeps the offset alone, which changes with the clocks.
            return {**super().default(obj), "__type__": _RRULE, "zone": zone}
        if isinstance(obj, datetime) and obj.tzinfo is None:
            # RedBeat takes it for UTC.
            return {"__type__": _NAIVE, "__value__": obj.isoformat()}
        try:
            return super().default(obj)
        except TypeError:
            return JSONEncoder().default(obj)


class Decoder(RedBeatJSONDecoder):
    """RedBeat's, and our types."""

    def dict_to_object(self, d: dict[str, Any]) -> Any:
        """The object that stands in JSON."""
        kind = d.get("__type__")
        if kind == _NAIVE:
            return datetime.fromisoformat(d["__value__"])
        if d.keys() == _KOMBUS:
            return object_hook(d)
        if kind == _SOLAR:
            return solar(d["event"], d["lat"], d["lon"])
        if kind == _CRONTAB:
            made = crontab(**{field: d[field] for field in _CRON_FIELDS})
            made.tz = ZoneInfo(d["zone"])
            return made
        if kind == _RRULE:
            zone = ZoneInfo(d.pop("zone"))
            fields = vars(super().dict_to_object({**d, "__type__": "rrule"}))
            return rrule(
                **{name: fields[name] for name in d if name in fields and name != "dtstart"},
                dtstart=fields["dtstart"].astimezone(zone),
            )
        return super().dict_to_object(d)


def _crontab(what: crontab) -> dict[str, Any]:
    fields = {field: _cron_field(what, field) for field in _CRON_FIELDS}
    if str(what.tz) != str(what.app.timezone) and (zone := _zone(what.tz)):
        return {"__type__": _CRONTAB, "zone": zone, **fields}
    return {"__type__": "crontab", **fields}


def _cron_field(what: crontab, field: str) -> Any:
    """As it was given; of sets, ranges and their like the values."""
    given = getattr(what, f"_orig_{field}")
    return given if isinstance(given, int | str | list) else sorted(getattr(what, field))


def _zone(zone: Any) -> str | None:
    """The name of a time zone; None for one without, such as a fixed offset."""
    try:
        return ZoneInfo(str(zone)).key
    except (KeyError, ValueError, OSError):
        return None
