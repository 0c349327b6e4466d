"""A TCP proxy, as a process: PORT TARGET_PORT. While it is stopped, all is silent.

SIGSTOP closes nothing: the kernel keeps the connections, takes bytes in and passes none on, until SIGCONT.
"""

from __future__ import annotations

import asyncio
import sys
from contextlib import suppress

#: Bytes that one read passes on at most.
_CHUNK = 1 << 16


async def _pass_on(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
    with suppress(OSError):
        while data := await source.read(_CHUNK):
            sink.write(data)
            await sink.drain()
    sink.close()


async def serve(port: int, target: int) -> None:
    """Join every connection to one of its own to ``target``, until killed."""

    async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            far_reader, far_writer = await asyncio.open_connection("127.0.0.1", target)
        except OSError:
            writer.close()
            return
        await asyncio.gather(_pass_on(reader, far_writer), _pass_on(far_reader, writer))

    server = await asyncio.start_server(accept, "127.0.0.1", port)
    async with server:
        await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(serve(int(sys.argv[1]), int(sys.argv[2])))
