"""A script for WeeChat: has another one loaded, and takes the time for which WeeChat stands still by that.

The environment has the other's path, and where to write the seconds to.  It is waited until the
other's engine has made a key for the server that WeeChat is connected to.
"""

from __future__ import annotations

import glob
import os
import time

import weechat  # type: ignore[import-not-found,unused-ignore]

LOADED = os.environ["STOPWATCH_SCRIPT"]
RESULT = os.environ["STOPWATCH_RESULT"]
STORE = os.path.join(os.environ["HOME"], ".local/share/otrcore/*.sqlite")

TICK = 1
"""Milliseconds."""

NOTICED = 0.010
"""Seconds; shorter breaks are nothing that anybody notices, and other programs cause them too."""

REST = 1.0
"""Seconds of peace before, and behind the last thing that is waited for."""

weechat.register("stopwatch", "the otrcore authors", "1", "MIT", "Takes the time of loading", "", "")


class Watch:
    """What is seen from a timer that WeeChat calls whenever it can."""

    def __init__(self) -> None:
        self.connected = self.begun = self.done = 0.0
        self.last = time.monotonic()
        self.stood_still = 0.0

    def tick(self) -> None:
        """Go on."""
        now = time.monotonic()
        if self.begun and now - self.last > NOTICED:
            self.stood_still += now - self.last
        self.last = now
        if not self.connected:
            self.connected = now if is_there("irc_server", "is_connected") else 0.0
        elif not self.begun:
            if now - self.connected > REST:
                self.begun = now
                # By WeeChat itself: a script cannot load another.
                weechat.command("", f"/wait {10 * TICK}ms /python load {LOADED}")
        elif not self.done:
            self.done = now if glob.glob(STORE) else 0.0
        elif now - self.done > REST:
            self.finish()

    def finish(self) -> None:
        """Leave."""
        with open(RESULT, "w", encoding="ascii") as file:
            file.write(str(self.stood_still))
        weechat.command("", "/quit")


def is_there(infolist_name: str, field: str) -> bool:
    """Whether any item of a list of WeeChat's has a number in a field that is not 0."""
    infolist = weechat.infolist_get(infolist_name, "", "")
    found = False
    while weechat.infolist_next(infolist):
        found = found or bool(weechat.infolist_integer(infolist, field))
    weechat.infolist_free(infolist)
    return found


def tick(data: str, remaining: object) -> int:
    """Be called by WeeChat."""
    watch.tick()
    return int(weechat.WEECHAT_RC_OK)


watch = Watch()
weechat.hook_timer(TICK, 0, 0, "tick", "")
