"""Calls over kept connections, to servers that answer, refuse, hang up or say nothing."""

import asyncio

import pytest

from local.wire import Caller, CallError, read_request, reply


def calling(serve, *calls, seconds=5.0):
    """What calls one after the other came to, and over how many connections."""
    connections = []

    async def connected(reader, writer):
        connections.append(writer)
        try:
            await serve(reader, writer, len(connections))
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    async def play():
        server = await asyncio.start_server(connected, "127.0.0.1", 0)
        host, port = server.sockets[0].getsockname()
        caller = Caller(f"http://{host}:{port}", seconds)
        came: list[bytes | CallError] = []
        async with server:
            for body in calls:
                try:
                    came.append(await caller.post("/", {"X-Given": "1"}, body))
                except CallError as error:
                    came.append(error)
                await asyncio.sleep(0.01)  # a server that hangs up is heard
            caller.close()
        return came, len(connections)

    return asyncio.run(play())


async def echo(reader, writer, _):
    while True:
        path, body = await read_request(reader, writer)
        reply(writer, "200 OK", {"X-Path": path}, body)


def test_one_connection_carries_many_calls():
    assert calling(echo, b"a", b"", b"c" * 300_000) == ([b"a", b"", b"c" * 300_000], 1)


def test_a_connection_closed_while_it_idled_is_replaced():
    async def once(reader, writer, _):
        await read_request(reader, writer)
        reply(writer, "200 OK", body=b"done")

    assert calling(once, b"", b"", b"") == ([b"done"] * 3, 3)


def test_a_connection_closed_instead_of_an_answer_is_replaced():
    async def tired(reader, writer, _):
        await read_request(reader, writer)
        reply(writer, "200 OK", body=b"done")
        await read_request(reader, writer)

    assert calling(tired, b"", b"") == ([b"done"] * 2, 2)


def test_a_connection_the_server_will_close_is_not_kept():
    async def last(reader, writer, _):
        while True:
            await read_request(reader, writer)
            reply(writer, "200 OK", {"Connection": "close"}, b"done")

    assert calling(last, b"", b"") == ([b"done"] * 2, 2)


@pytest.mark.parametrize("answer", ["400 Bad Request", "503 Slow Down"])
def test_a_bad_answer_is_an_error_and_the_connection_stays(answer):
    async def refuse(reader, writer, _):
        while True:
            await read_request(reader, writer)
            reply(writer, answer, body=b"why")

    came, connections = calling(refuse, b"", b"")

    assert [str(error) for error in came] == [f"{answer[:3]}: b'why'"] * 2
    assert connections == 1


def test_silence_and_nonsense_are_errors():
    async def silent(reader, writer, number):
        await read_request(reader, writer)
        if number > 1:
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: many\r\n\r\n")
        await reader.read()

    came, _ = calling(silent, b"", b"", seconds=0.05)

    assert [type(error) for error in came] == [CallError, CallError]


def test_nobody_there_is_an_error():
    async def play():
        with pytest.raises(CallError):
            await Caller("http://127.0.0.1:1").post("/", {}, b"")

    asyncio.run(play())
