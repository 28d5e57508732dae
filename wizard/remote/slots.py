"""How many channels a node bears at once: at most five, fewer when its sshd says so."""

from __future__ import annotations

import asyncio


class Busy(Exception):
    """The node bears one channel per connection, and that one is in use, maybe for hours."""


class Slots:
    """Places for channels. ``limit`` goes down when the node refuses one (MaxSessions), never up.

    ``used`` are taken now.

    Args:
        limit: places at first.
        patient: wait for the one place too; otherwise that is Busy.
    """

    def __init__(self, limit: int, *, patient: bool = False) -> None:
        self.limit = limit
        self.used = 0
        self._patient = patient
        self._freed = asyncio.Event()

    async def acquire(self) -> None:
        """Take a place, waiting for one.

        Raises:
            Busy: see there; not when patient.
        """
        while self.used >= self.limit:
            if self.limit == 1 and not self._patient:
                raise Busy
            self._freed.clear()
            await self._freed.wait()
        self.used += 1

    def release(self) -> None:
        """Give a place back."""
        self.used -= 1
        self._freed.set()

    async def again(self) -> None:
        """Give a place back and take the next one; when cancelled or Busy, it is still taken."""
        self.release()
        try:
            await self.acquire()
        except BaseException:
            self.used += 1
            raise

    def narrow(self, *, last: bool) -> bool:
        """Learn that the node refused the channel for which a place was just taken.

        Down to one only with ``last``: sshd frees a session after its client has seen its end, so
        that with two the next one may just have come too early.

        Returns:
            whether to take a place anew: others are open, and one of their places will come free.
        """
        if self.used < (2 if last else 3):
            return False
        self.limit = min(self.limit, self.used - 1)
        self._freed.set()  # whoever waits learns of it
        return True
