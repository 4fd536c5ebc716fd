"""A client that asks an ASGI application in process, one request at a time."""

import asyncio

import httpx
import pytest


class Client:
    def __init__(self, application):
        self.application = application

    def request(self, method, path, **options):
        async def play():
            transport = httpx.ASGITransport(self.application)
            async with httpx.AsyncClient(transport=transport, base_url="http://box") as http:
                return await http.request(method, path, **options)

        return asyncio.run(play())

    def get(self, path, **options):
        return self.request("GET", path, **options)

    def post(self, path, **options):
        return self.request("POST", path, **options)

    def put(self, path, **options):
        return self.request("PUT", path, **options)

    def delete(self, path, **options):
        return self.request("DELETE", path, **options)


@pytest.fixture
def client_of():
    return Client
