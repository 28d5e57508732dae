"""How many channels a node bears at once: at most five, fewer when its sshd says so."""

from __future__ import annotations

import asyncio

_WAIT_S = 2.0  # for a place where the node bears few: a log that is followed has one for hours


class Busy(Exception):
    """The few channels that the node bears on a connection are in use, and stay so."""


class Slots:
    """Places for channels. ``limit`` goes down when the node refuses one (MaxSessions), never up.

    Args:
        limit: places at first.
        patient: wait for as long as it takes; otherwise, where the node bears fewer than at first,
            that is Busy: at once where it bears one.
    """

    def __init__(self, limit: int, *, patient: bool = False) -> None:
        self.limit = limit
        self._used = 0
        self._first, self._patient = limit, patient
        self._freed = asyncio.Event()

    async def acquire(self) -> None:
        """Take a place, waiting for one.

        Raises:
            Busy: see there; not when patient.
        """
        began = asyncio.get_running_loop().time()
        while self._used >= self.limit:
            self._freed.clear()
            try:
                async with asyncio.timeout_at(self._until(began)):
                    await self._freed.wait()
            except TimeoutError:
                raise Busy from None
        self._used += 1

    def _until(self, began: float) -> float | None:
        """Until when a place is waited for by whoever began then; None: for as long as it takes."""
        if self._patient or 1 < self.limit == self._first:
            return None
        return began + (_WAIT_S if self.limit > 1 else 0.0)

    def release(self) -> None:
        """Give a place back."""
        self._used -= 1
        self._freed.set()

    async def again(self) -> None:
        """Give a place back and take the next one; when cancelled or Busy, it is still taken."""
        self.release()
        try:
            await self.acquire()
        except BaseException:
            self._used += 1
            raise

    def narrow(self, *, last: bool) -> bool:
        """Learn that the node refused the channel for which a place was just taken.

        Down to one only with ``last``: sshd frees a session after its client has seen its end, so
        that with two the next one may just have come too early.

        Returns:
            whether to take a place anew: others are open, and one of their places will come free.
        """
        if self._used < (2 if last else 3):
            return False
        self.limit = min(self.limit, self._used - 1)
        self._freed.set()  # whoever waits learns of it
        return True
