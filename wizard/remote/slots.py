"""How many channels a node bears at once: at most five, fewer when its sshd says so."""

from __future__ import annotations

import asyncio


class Slots:
    """Places for channels. ``limit`` goes down when the node refuses one (MaxSessions), never up.

    Args:
        limit: places at first.
    """

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self._used = 0
        self._freed = asyncio.Event()

    async def acquire(self) -> None:
        """Take a place, waiting for one."""
        while self._used >= self.limit:
            self._freed.clear()
            await self._freed.wait()
        self._used += 1

    def release(self) -> None:
        """Give a place back."""
        self._used -= 1
        self._freed.set()

    async def again(self) -> None:
        """Give a place back and take the next one; when cancelled, the place is still taken."""
        self.release()
        try:
            await self.acquire()
        except BaseException:
            self._used += 1
            raise

    def narrow(self) -> bool:
        """Learn that the node refused the channel for which a place was just taken.

        Returns:
            whether that explains it: others are open, and one of their places will come free.
        """
        if self._used < 2:
            return False
        self.limit = min(self.limit, self._used - 1)
        return True
